//! libFuzzer's side of `fuzz::compile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::compile(data));
