//! Wrong passwords: what is counted, and what follows.

#[cfg(feature = "servers")]
mod commands;
mod digests;
#[cfg(feature = "servers")]
mod foreseen;
mod networks;
mod rules;
#[cfg(feature = "servers")]
mod slow;
#[cfg(feature = "servers")]
mod state_files;
