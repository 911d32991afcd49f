//! Servers that take connections and never say anything.

use std::net::TcpListener;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// Servers that take connections and never say a word.
pub(crate) struct Silent {
    pub(crate) ports: Vec<u16>,
    pub(crate) connections: &'static AtomicUsize,
}

impl Silent {
    pub(crate) fn new(number: usize) -> Self {
        let connections: &'static AtomicUsize = Box::leak(Box::default());
        let ports = (0..number).map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            thread::spawn(move || {
                let mut kept = Vec::new();
                for connection in listener.incoming() {
                    kept.push(connection);
                    connections.fetch_add(1, Ordering::SeqCst);
                }
            });
            port
        });
        Self {
            ports: ports.collect(),
            connections,
        }
    }

    /// A store for each, which is asked about nobody here.
    pub(crate) fn stores(&self) -> String {
        let store = |port: &u16| {
            format!(
                "[[users]]\nstore = \"sql\"\nurl = \"postgres://reader@127.0.0.1:{port}/mail\"\n\
                 query = \"SELECT password FROM users WHERE login = {{login}}\"\n\
                 domains = [\"elsewhere.example\"]\n"
            )
        };
        self.ports.iter().map(store).collect()
    }
}
