//! What the program does with the real things around it.

mod hashes;
