#![no_main]

#[path = "../checks/input.rs"]
mod input;
#[path = "../checks/sessions.rs"]
mod sessions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sessions::check(bytes));
