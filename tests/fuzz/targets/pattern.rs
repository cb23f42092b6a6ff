#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chordial::config::fuzz::pattern(bytes));
