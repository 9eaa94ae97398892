//! One seed is one run on every platform, to the last bit. `.ci/wasm` plays these runs on this
//! machine, then on WebAssembly with the hashes that were found here.

use positron_sim::{packets, run, stories};

/// Whole nodes that find each other, tell everyone, are cut apart and come together again, over
/// datagrams that are lost; and connections alone, on paths of every kind.
#[test]
fn runs_have_the_same_hashes_on_every_platform() {
    let story = run(&stories::storm(5, 7), 7);
    story.expect_ok();
    assert!(story.deliveries > 0);
    let mut hashes = vec![story.run_hash];
    for seed in 0..20 {
        let report = packets::run(seed);
        report.expect_ok();
        hashes.push(report.run_hash);
    }
    let hashes = hashes.join(" ");
    println!("run hashes: {hashes}");
    // Where nothing is printed, this is what is left of the test in the memory of its program.
    Box::leak(format!("ran to the end: {hashes}").into_boxed_str());
    if let Some(elsewhere) = option_env!("POSITRON_RUN_HASHES") {
        assert_eq!(hashes, elsewhere, "here, and on the other platform");
    }
}
