//! The fuzz targets over their seeds, and over many changed ones.

crate::support::fuzz::test_each_target!(100_000);
