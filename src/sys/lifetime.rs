//! How long the process lives.

/// How long the process will use what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For one request (CGI): look up no more than that needs.
    OneRequest,
    /// For as long as the server runs: index files and resolve names beforehand.
    Server,
}
