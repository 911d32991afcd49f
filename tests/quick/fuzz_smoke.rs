//! The fuzz targets over their seeds, and over a few changed ones.

crate::support::fuzz::test_each_target!(1_000);
