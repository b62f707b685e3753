//! libFuzzer's side of `fuzz::validate`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::validate(data));
