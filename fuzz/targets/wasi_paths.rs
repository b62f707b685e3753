//! libFuzzer's side of `fuzz::wasi_paths`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::wasi_paths(data));
