//! What this build of the program is, as `build.rs` recorded it.

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit that it was built from; "unknown" in builds for development.
pub const COMMIT: &str = env!("BUILD_COMMIT");

/// The features that it was built with; "none" without any.
pub const FEATURES: &str = env!("BUILD_FEATURES");

/// All of it, and how it is linked, one a line.
pub const REPORT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("BUILD_COMMIT"),
    "\nfeatures: ",
    env!("BUILD_FEATURES"),
    "\nlinked: ",
    env!("BUILD_LINKING")
);
