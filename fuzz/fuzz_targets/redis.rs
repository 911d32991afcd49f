#![no_main]
#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "a program for each target")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::named("redis")(data));
