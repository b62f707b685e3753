//! libFuzzer's side of `fuzz::cache_load`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::cache_load(data));
