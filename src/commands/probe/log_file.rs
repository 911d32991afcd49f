//! `probe --log`: the lines that the program, or the web server in front of it, logs for the request.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::login::Protocol;

/// How much of the log is read behind the place where the request began.
const MAX_BYTES: u64 = 256 * 1024;

/// How long the command waits for a line: under CGI the program answers before it logs.
const PATIENCE: Duration = Duration::from_secs(1);

/// A log, with the end that it had before the request.
pub(super) struct LogFile {
    file: File,
    end: u64,
}

/// The lines that appeared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logged {
    /// The line of the program's decision.
    pub(super) decision: Option<String>,
    /// All other lines.
    pub(super) others: Vec<String>,
}

impl LogFile {
    /// Opens a log. Anything but a file would block, or has no end.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no file"));
        }
        let end = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, end })
    }

    /// The lines that were added since, once the decision about a request of this protocol and client is among them, or
    /// after a second.
    pub(super) fn added(&mut self, protocol: Protocol, client: IpAddr) -> io::Result<Logged> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let logged = sort(&self.read()?, protocol, client);
            if logged.decision.is_some() || Instant::now() >= deadline {
                return Ok(logged);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn read(&mut self) -> io::Result<String> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let mut bytes = Vec::new();
        (&self.file).take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Finds the decision. Requests of others can be in between, but few come from the same client at the same moment.
fn sort(text: &str, protocol: Protocol, client: IpAddr) -> Logged {
    let ours = [
        format!(" protocol={} client={client} ", protocol.word()),
        // A request that is not believed, whatever its client.
        " client=- host=- answer=refused cause=wrong-".to_owned(),
        // [log] format = "json"
        format!("\"client\":\"{client}\""),
        "\"cause\":\"wrong-".to_owned(),
    ];
    let mut logged = Logged::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let decides = line.contains(" cause=") || line.contains("\"cause\":");
        match ours.iter().any(|words| line.contains(words)) {
            true if decides => logged.decision = Some(line.to_owned()),
            _ if decides => {}
            _ => logged.others.push(line.to_owned()),
        }
    }
    logged
}

/// The cause in the line of a decision.
pub(super) fn cause(line: &str) -> Option<&str> {
    let behind = |mark: &str| line.rsplit_once(mark).map(|(_, behind)| behind);
    let cause = behind(" cause=").or_else(|| behind("\"cause\":\""))?;
    let end = cause.find([' ', '"']).unwrap_or(cause.len());
    cause.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn the_decision_is_found_among_other_lines() {
        let ours = "login=\"alice\" protocol=imap client=192.0.2.7 host=- answer=refused \
                    cause=wrong-password ms=0.2";
        let text = format!(
            "login=\"bob\" protocol=imap client=192.0.2.70 host=- answer=refused cause=unknown-user ms=1\n\
             [Tue] [cgid:error] [client 127.0.0.1:1] AH01215: INFO nginx-mail-auth[1]: {ours}\n\
             [Tue] [core:error] Permission denied\n\n"
        );
        let logged = sort(&text, Protocol::Imap, CLIENT);
        assert!(logged.decision.as_deref().unwrap().ends_with(ours));
        assert_eq!(
            cause(logged.decision.as_deref().unwrap()),
            Some("wrong-password")
        );
        assert_eq!(logged.others, ["[Tue] [core:error] Permission denied"]);
        assert_eq!(sort(&text, Protocol::Pop3, CLIENT).decision, None);
    }

    #[test]
    fn a_request_that_is_not_believed_has_no_client() {
        let line = "login=- protocol=imap client=- host=- answer=refused cause=wrong-key peer=127.0.0.1 ms=0.1";
        let logged = sort(line, Protocol::Imap, CLIENT);
        assert_eq!(
            cause(logged.decision.as_deref().unwrap()),
            Some("wrong-key")
        );
    }
}
