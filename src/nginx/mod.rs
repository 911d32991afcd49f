//! The protocol between nginx and its `auth_http` service: this folder reads every header that
//! nginx sends, and writes every header that nginx receives. [`mail_proxy`] is the other side.

pub mod answer;
pub mod cause;
pub mod mail_proxy;
pub mod refusal;
pub mod request;
