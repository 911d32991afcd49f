//! Bytes of FastCGI records and back.
