#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chordial::enroll::fuzz::invitation(bytes));
