//! The node of a cluster that holds our keys: all of them share a hash tag, so one node holds them.
//!
//! The nodes redirect to the node of a key, so the topology of the cluster, which may be large, is neither
//! requested nor kept. <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>

use std::thread;
use std::time::{Duration, Instant};

use ::redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value, cmd};
use rustls::pki_types::ServerName;

use super::CHECK_KEY;
use super::address::named;
use super::failure::{Failure, RequestError};
use super::servers::{Servers, share};
use crate::net::Endpoint;

/// The maximum number of redirects per query. One is enough unless the cluster changes.
const MAX_REDIRECTS: usize = 5;

/// The pause before a command is sent again while its keys are moving to another node.
const PAUSE: Duration = Duration::from_millis(10);

impl Servers {
    /// The reply of the node that holds our keys: the node that replied last, or the node that a configured
    /// node redirects to.
    pub(super) fn ask_owner(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        let known = self.known();
        let others = self.settings.endpoints.iter();
        let others = others.filter(|endpoint| Some(*endpoint) != known.as_ref());
        let nodes: Vec<_> = known.iter().chain(others).collect();
        let mut failure = None;
        for (number, node) in nodes.iter().enumerate() {
            let until = share(deadline, nodes.len() - number + 1);
            match self.follow(node, command, until, deadline) {
                Ok(value) => return Ok(value),
                Err(why) if why.is_final() => return Err(why),
                Err(why) => failure = Some(why),
            }
        }
        Err(failure.unwrap_or_else(|| RequestError::NoServer.into()))
    }

    /// The node that holds our keys, according to another node.
    pub(super) fn owner_by_nodes(&self, known: &Endpoint, deadline: Instant) -> Option<Endpoint> {
        let mut others = self.settings.endpoints.iter().filter(|node| *node != known);
        others.find_map(|node| {
            let until = share(deadline, 4);
            let question = cmd("GET").arg(CHECK_KEY).clone();
            let asked = self.ask_confirming_server(node, until, |connection| {
                match connection.ask::<Value>(&question, until) {
                    Ok(_) => Ok(node.clone()),
                    Err(error) => redirect(&error, node).ok_or(error.into()),
                }
            });
            asked.ok()
        })
    }

    /// The reply of a node, or of the node that it redirects to. The first node has until `until`, each
    /// further one half of the remaining time.
    fn follow(
        &self,
        first: &Endpoint,
        command: &Cmd,
        mut until: Instant,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let (mut node, mut asking) = (first.clone(), false);
        for _ in 0..=MAX_REDIRECTS {
            let mut connection = self.open(&node, until)?;
            let mut ask = || {
                if asking {
                    connection.ask::<()>(&cmd("ASKING"), until)?;
                }
                connection.ask(command, until)
            };
            let error = match ask() {
                Ok(value) => {
                    if !asking {
                        self.settle_on(&node);
                        self.keep(connection);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            match (error.kind(), redirect(&error, &node)) {
                (ErrorKind::Server(kind), Some(next)) => {
                    asking = kind == ServerErrorKind::Ask;
                    node = next;
                }
                // Until the move is complete, the keys are on two nodes.
                (ErrorKind::Server(ServerErrorKind::TryAgain), None) => thread::sleep(PAUSE),
                _ => return Err(RequestError::from(error).at(&node)),
            }
            until = share(deadline, 2);
        }
        Err(RequestError::Redirects.at(&node))
    }
}

/// The target of a redirect. A node that does not know its own name writes nothing before the port, or `?`:
/// both mean the host of that node.
fn redirect(error: &RedisError, from: &Endpoint) -> Option<Endpoint> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    match (host, from) {
        ("" | "?", Endpoint::Tcp { host, .. }) => named(&ServerName::to_str(host), port),
        (host, _) => named(host, port),
    }
}

#[cfg(test)]
mod tests {
    use ::redis::parse_redis_value;

    use super::*;

    #[test]
    fn redirects_lead_to_the_server_that_they_name() {
        let from = named("192.0.2.1", "7001").unwrap();
        let to = |line: &str| {
            let reply = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            let error = reply.extract_error().unwrap_err();
            redirect(&error, &from).map(|endpoint| endpoint.to_string())
        };
        for (line, expected) in [
            ("MOVED 866 192.0.2.7:7002", Some("192.0.2.7:7002")),
            ("ASK 866 node.example:7002", Some("node.example:7002")),
            ("MOVED 866 2001:db8::1:7002", Some("[2001:db8::1]:7002")),
            ("MOVED 866 :7002", Some("192.0.2.1:7002")),
            ("MOVED 866 ?:7002", Some("192.0.2.1:7002")),
            ("MOVED 866 192.0.2.7", None),
            ("MOVED 866 192.0.2.7:0", None),
            ("MOVED 866 a b:1", None),
            ("MOVED 866", None),
            ("MOVED x 192.0.2.7:7002", None),
            ("TRYAGAIN 866 192.0.2.7:7002", None),
        ] {
            assert_eq!(to(line).as_deref(), expected, "{line}");
        }
    }
}
