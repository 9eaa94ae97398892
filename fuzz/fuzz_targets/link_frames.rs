#![no_main]

#[path = "../checks/link_frames.rs"]
mod link_frames;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| link_frames::check(bytes));
