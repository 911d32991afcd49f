//! The sql store with PostgreSQL, MariaDB and SQLite's own tool.

mod equal_logins;
mod faults;
mod hostile_servers;
mod injection;
mod layouts;
mod other_services;
mod outages;
mod own_account;
mod placeholders;
mod pooler;
mod speed;
mod sqlite_file;
mod tls;
mod user_columns;
