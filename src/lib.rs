//! Answers NGINX's mail proxy (`auth_http`).
pub mod answer;
pub mod fcgi;
pub mod params;
pub mod problem;
pub mod refusal;
pub mod request;
pub mod secret;
pub mod store;
