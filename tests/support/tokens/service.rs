//! A service that is asked about tokens, and does whatever a service can do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::tokens::{CONFIG, active};

/// What a service does with a connection.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers with this status and body.
    Says(u16, String),
    /// Sends these bytes and closes.
    Sends(&'static [u8]),
    /// Answers, keeps the connection, and closes it when it feels like it.
    SaysAndLeaves(String),
    /// Accepts the connection and sends nothing.
    Stalls,
    /// Sends a byte now and then.
    Drips,
}

/// A service on a port of its own, and what it was asked.
pub(crate) struct Service {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    does: Arc<Mutex<Does>>,
}

impl Service {
    pub(crate) fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            does: Arc::new(Mutex::new(does)),
        };
        let (asked, does) = (Arc::clone(&service.asked), Arc::clone(&service.does));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, does) = (Arc::clone(&asked), Arc::clone(&does));
                thread::spawn(move || serve(stream.unwrap(), &asked, &does));
            }
        });
        service
    }

    pub(crate) fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn config(&self) -> String {
        format!(
            "{CONFIG}introspection-url = \"http://127.0.0.1:{}/introspect?x=y\"\ntimeout = 1\n",
            self.port
        )
    }
}

/// Reads one request after the other, and does what is to be done.
pub(crate) fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, does: &Mutex<Does>) {
    while let Some(request) = read_request(&mut stream) {
        asked.lock().unwrap().push(request);
        let does = does.lock().unwrap().clone();
        // The other side may have given up.
        let _ = match &does {
            Does::Says(status, body) => stream.write_all(response(*status, body).as_bytes()),
            Does::Sends(bytes) => {
                let _ = stream.write_all(bytes);
                return;
            }
            Does::SaysAndLeaves(body) => {
                let _ = stream.write_all(response(200, body).as_bytes());
                return;
            }
            Does::Stalls => {
                thread::sleep(Duration::from_secs(30));
                return;
            }
            Does::Drips => {
                for byte in response(200, "{\"active\":true}").bytes() {
                    if stream.write_all(&[byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(300));
                }
                return;
            }
        };
    }
}

pub(crate) fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n\
         Location: /elsewhere\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Head and body of one request; `None` at the end of the connection.
pub(crate) fn read_request(stream: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .to_ascii_lowercase()
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.lines().next().map(str::trim).map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// One with a certificate; how many requests it got.
pub(crate) fn serve_tls(key: &str, cert: &str) -> (u16, Arc<AtomicUsize>) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certs = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certs, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            if read_request(&mut stream).is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(response(200, &active().to_string()).as_bytes());
                let _ = stream.read(&mut [0]);
            }
        }
    });
    (port, asked)
}
