//! Clients that send no password: digests, certificates, tokens, and mail from other servers.

mod codes;
mod digests;
mod external;
mod inbound;
#[cfg(feature = "servers")]
mod introspection;
