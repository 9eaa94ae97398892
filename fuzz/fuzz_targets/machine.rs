#![no_main]

#[path = "../checks/ends.rs"]
mod ends;
#[path = "../checks/input.rs"]
mod input;
#[path = "../checks/machine.rs"]
mod machine;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| machine::check(bytes));
