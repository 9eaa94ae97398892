#![no_main]

#[path = "../checks/claims.rs"]
mod claims;
#[path = "../checks/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| claims::check(bytes));
