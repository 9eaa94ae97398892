#![no_main]

#[path = "../checks/ends.rs"]
mod ends;
#[path = "../checks/handshake.rs"]
mod handshake;
#[path = "../checks/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handshake::check(bytes));
