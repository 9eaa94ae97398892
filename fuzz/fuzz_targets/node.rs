#![no_main]

#[path = "../checks/hostile.rs"]
mod hostile;
#[path = "../checks/input.rs"]
mod input;
#[path = "../checks/node.rs"]
mod node;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| node::check(bytes));
