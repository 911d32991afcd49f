//! HTTP over the bounded stream: ureq writes requests and reads answers, but opens no connection itself.

use std::fmt;
use std::io::{self, ErrorKind};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Endpoint, Names, Stream, Trust};

/// The most bytes of an answer's header.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// The most bytes that are sent at once; no header line of a request can be longer.
const OUTPUT_BYTES: usize = 16 << 10;

/// The most time for a request that has no `timeout_global`.
const LONGEST: Duration = Duration::from_secs(60);

/// Where the server of a URL listens. The error says what is wrong with its host or port.
pub fn endpoint_of(url: &str) -> Result<Endpoint, String> {
    const HTTP: NonZeroU16 = NonZeroU16::new(80).unwrap();
    const HTTPS: NonZeroU16 = NonZeroU16::new(443).unwrap();
    let uri: Uri = url.parse().map_err(|_| "is not a URL".to_owned())?;
    let usual = match uri.scheme_str() {
        Some("https") => HTTPS,
        _ => HTTP,
    };
    Endpoint::parse(uri.authority().map_or("", Authority::as_str), usual)
}

/// Makes an agent that connects to `endpoint`, whatever host a URL names. It keeps up to `kept`
/// connections open, follows no redirects, and reads at most
/// [`QUESTION_BYTES`](super::QUESTION_BYTES) for each request. The `timeout_global` of a request is its
/// deadline.
pub fn agent(endpoint: &Endpoint, names: &Names, trust: &Arc<Trust>, kept: usize) -> Agent {
    let config = Agent::config_builder()
        // Under CGI, HTTP_PROXY is a header of the request (CVE-2016-5385).
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_response_header_size(MAX_HEADER_BYTES)
        .max_idle_connections(kept)
        .user_agent("nginx-mail-auth")
        .build();
    let connector = Streams {
        endpoint: endpoint.clone(),
        names: names.clone(),
        trust: Arc::clone(trust),
    };
    Agent::with_parts(config, connector, NoLookup)
}

/// Connects to the endpoint.
struct Streams {
    endpoint: Endpoint,
    names: Names,
    trust: Arc<Trust>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({})", self.endpoint)
    }
}

impl Connector for Streams {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        let timeout = &details.timeout;
        let failed = |what: &str, error: io::Error| {
            let named = format!("{what}: {error}");
            ureq_error(io::Error::new(error.kind(), named), timeout)
        };
        let mut stream = Stream::connect(&self.endpoint, &self.names, deadline(timeout))
            .map_err(|error| failed("cannot connect", error))?;
        let tls = match &self.endpoint {
            Endpoint::Tcp { host, .. } if details.needs_tls() => {
                let config = self.trust.config().map_err(io::Error::other)?;
                stream
                    .start_tls(&config, host)
                    .map_err(|error| failed("TLS", error))?;
                true
            }
            Endpoint::Tcp { .. } | Endpoint::Unix(..) => false,
        };
        Ok(Some(Connection {
            stream,
            tls,
            output: Zeroizing::new(vec![0; OUTPUT_BYTES]),
            is_sending: false,
            has_consumed: false,
        }))
    }
}

/// The stream looks names up when it connects.
#[derive(Debug)]
struct NoLookup;

impl Resolver for NoLookup {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// A connection, used for one request after the other.
struct Connection {
    stream: Stream,
    tls: bool,
    /// Wiped when its content has been sent: a request may hold a token.
    output: Zeroizing<Vec<u8>>,
    /// Whether a request is being sent, not an answer read.
    is_sending: bool,
    /// Whether ureq took something of the input when it last looked at it. Otherwise it needs more.
    has_consumed: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(..)")
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if !self.is_sending {
            self.is_sending = true;
            self.stream.set_deadline(deadline(&timeout));
            // An answer to nothing is none to this request.
            if let Some(unasked) = self.stream.unasked() {
                let what = format!("{unasked}, before the request was sent");
                return Err(io::Error::new(ErrorKind::InvalidData, what).into());
            }
        }
        let output = self.output.get_mut(..amount).unwrap_or_default();
        let sent = self.stream.send(output);
        output.zeroize();
        sent.map_err(|error| ureq_error(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.is_sending = false;
        self.stream.hurry(left(&timeout));
        let received = self.stream.receive();
        received
            .map(|bytes| bytes > 0)
            .map_err(|error| ureq_error(error, &timeout))
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_quiet()
    }

    fn is_tls(&self) -> bool {
        self.tls
    }
}

/// The input stays in the stream until it is consumed.
impl Buffers for Connection {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        self.stream.received()
    }

    /// Only for transports on top of this one, and there are none.
    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _amount: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.has_consumed = amount > 0;
        self.stream.take(amount);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let (output, temporary) = self.output.split_at_mut(OUTPUT_BYTES / 2);
        (temporary, output)
    }

    fn can_use_input(&self) -> bool {
        self.has_consumed && !self.stream.received().is_empty()
    }
}

/// The time that is left.
fn left(timeout: &NextTimeout) -> Duration {
    LONGEST.min(*timeout.after)
}

fn deadline(timeout: &NextTimeout) -> Instant {
    Instant::now() + left(timeout)
}

fn ureq_error(error: io::Error, timeout: &NextTimeout) -> ureq::Error {
    match error.kind() {
        ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    const URL: &str = "http://service.invalid/path";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

    fn agent_of(endpoint: &Endpoint) -> Agent {
        let trust = Arc::new(Trust::new(None));
        agent(endpoint, &Names::system(), &trust, 1)
    }

    fn listen() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::parse("127.0.0.1", NonZeroU16::new(port).unwrap()).unwrap();
        (listener, endpoint)
    }

    fn ask(agent: &Agent, patience: Duration) -> Result<String, ureq::Error> {
        let request = agent.post(URL).config().timeout_global(Some(patience));
        let mut answer = request.build().send(b"question".as_slice())?;
        answer.body_mut().read_to_string()
    }

    /// Reads up to the end of a request.
    fn hear(peer: &mut impl io::Read) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\nquestion") {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            heard.extend(byte);
        }
        String::from_utf8(heard).unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    /// The name of the URL has no address, so a lookup would fail.
    #[test]
    fn requests_go_to_the_endpoint_and_a_connection_is_kept() {
        let (listener, endpoint) = listen();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            [(); 3].map(|()| {
                let heard = hear(&mut peer);
                peer.write_all(ANSWER).unwrap();
                heard
            })
        });
        let agent = agent_of(&endpoint);
        for _ in 0..3 {
            assert_eq!(ask(&agent, PATIENCE).unwrap(), "yes");
        }
        for heard in server.join().unwrap() {
            assert!(heard.starts_with("POST /path HTTP/1.1\r\n"), "{heard}");
            assert!(heard.contains("host: service.invalid\r\n"), "{heard}");
        }
    }

    #[test]
    fn a_unix_socket_is_asked_as_well() {
        let path = std::env::temp_dir().join(format!("mail-auth-http-{}", std::process::id()));
        let _none_yet = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            hear(&mut peer);
            peer.write_all(ANSWER).unwrap();
        });
        let agent = agent_of(&Endpoint::Unix(path.clone(), None));
        assert_eq!(ask(&agent, PATIENCE).unwrap(), "yes");
        server.join().unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    /// Interim responses without end, each of which is sound.
    #[test]
    fn an_answer_without_end_is_cut_and_each_request_has_its_own_budget() {
        let (listener, endpoint) = listen();
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let (mut peer, _) = listener.accept().unwrap();
                hear(&mut peer);
                peer.write_all(ANSWER).unwrap();
                hear(&mut peer);
                while peer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {}
            }
        });
        let agent = agent_of(&endpoint);
        for _ in 0..2 {
            assert_eq!(ask(&agent, PATIENCE).unwrap(), "yes");
            let error = ask(&agent, PATIENCE).unwrap_err().to_string();
            assert_eq!(
                error,
                "io: it sends more than 1048576 bytes for one question"
            );
        }
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_is_silent_or_slow_ends_by_the_deadline() {
        let (listener, endpoint) = listen();
        let server = thread::spawn(move || {
            let (silent, _) = listener.accept().unwrap();
            let (mut slow, _) = listener.accept().unwrap();
            while slow.write_all(b"H").is_ok() {
                thread::yield_now();
            }
            drop(silent);
        });
        let agent = agent_of(&endpoint);
        let silent = ask(&agent, Duration::from_millis(100));
        assert!(matches!(silent, Err(ureq::Error::Timeout(_))), "{silent:?}");
        // It sends before it is asked, or a header line without end.
        assert!(ask(&agent, Duration::from_millis(100)).is_err());
        server.join().unwrap();
    }

    #[test]
    fn what_was_sent_is_wiped() {
        let (listener, endpoint) = listen();
        let names = Names::system();
        let mut connection = Connection {
            stream: Stream::connect(&endpoint, &names, Instant::now() + PATIENCE).unwrap(),
            tls: false,
            output: Zeroizing::new(vec![0; OUTPUT_BYTES]),
            is_sending: false,
            has_consumed: false,
        };
        let (mut peer, _) = listener.accept().unwrap();
        connection.output()[..5].copy_from_slice(b"token");
        connection
            .transmit_output(5, NextTimeout::default())
            .unwrap();
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"token");
        assert!(connection.output.iter().all(|byte| *byte == 0));
    }
}
