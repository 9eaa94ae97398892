#![no_main]

#[path = "../checks/stun.rs"]
mod stun;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stun::check(bytes));
