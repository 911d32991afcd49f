//! Bytes in, requests out.
