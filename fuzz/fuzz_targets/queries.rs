#![no_main]

#[path = "../checks/ends.rs"]
mod ends;
#[path = "../checks/input.rs"]
mod input;
#[path = "../checks/queries.rs"]
mod queries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| queries::check(bytes));
