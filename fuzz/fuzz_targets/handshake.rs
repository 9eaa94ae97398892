#![no_main]

#[path = "../checks/ends.rs"]
mod ends;
#[path = "../checks/handshake.rs"]
mod handshake;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handshake::check(bytes));
