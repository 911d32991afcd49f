//! Where the counts are kept.

use std::fmt;
#[cfg(feature = "servers")]
use std::path::PathBuf;

use super::record::Spans;
use super::state::{CountingMode, State};

/// Where the counts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// In the memory of the process.
    Memory,
    /// In an SQLite file, for all processes of the machine.
    #[cfg(feature = "servers")]
    Sqlite(PathBuf),
    /// In Redis or Valkey, for all machines.
    #[cfg(feature = "servers")]
    Redis(Box<super::redis::Settings>),
}

impl fmt::Display for StateLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            #[cfg(feature = "servers")]
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "servers")]
            Self::Redis(settings) => settings.fmt(f),
        }
    }
}

/// Opens the counts; nothing is connected yet.
#[cfg_attr(not(feature = "servers"), expect(unused_variables))]
pub(super) fn open(place: &StateLocation, spans: Spans, counting: CountingMode) -> Box<dyn State> {
    match place {
        StateLocation::Memory => Box::new(super::memory::Memory::new(spans)),
        #[cfg(feature = "servers")]
        StateLocation::Sqlite(path) => {
            Box::new(super::sqlite::Sqlite::new(path.clone(), spans, counting))
        }
        #[cfg(feature = "servers")]
        StateLocation::Redis(settings) => Box::new(super::redis::Redis::new(settings, spans)),
    }
}
