//! The protocol between nginx and its `auth_http` service: every header that nginx sends is read here, and
//! every header that it is sent is written here, and nowhere else.

pub mod answer;
pub mod refusal;
pub mod request;
