//! How long the process lives.

/// How long the process will use what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// One request (CGI): look up only what that request needs.
    OneRequest,
    /// The run of a server: index files and resolve names in advance.
    Server,
}
