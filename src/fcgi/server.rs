//! Listeners and threads.
