#![no_main]

#[path = "../checks/holdings.rs"]
mod holdings;
#[path = "../checks/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdings::check(bytes));
