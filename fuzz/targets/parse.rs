//! libFuzzer's side of `fuzz::parse`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::parse(data));
