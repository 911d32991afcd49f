//! Answers NGINX's mail proxy (`auth_http`).
pub mod answer;
pub mod config;
pub mod fcgi;
pub mod files;
pub mod params;
pub mod problem;
pub mod refusal;
pub mod request;
pub mod route;
pub mod secret;
pub mod store;
