//! The long story, a few minutes of it.

use positron_proto::time::Duration;
use positron_sim::{run, stories};

#[test]
fn minutes_of_mixed_load_and_faults_keep_every_promise_and_pass_again_to_the_last_bit() {
    let (mut broadcasts, mut deliveries) = (0, 0);
    for seed in 0..8 {
        let nodes = 4 + usize::try_from(seed).unwrap();
        let story = stories::soak(nodes, Duration::from_secs(180), seed);
        let report = run(&story, seed);
        report.expect_ok();
        if seed % 8 == 0 {
            assert_eq!(report.run_hash, run(&story, seed).run_hash);
        }
        broadcasts += report.broadcasts;
        deliveries += report.deliveries;
    }
    assert!(broadcasts > 1_000 && deliveries > 1_000, "{deliveries} of {broadcasts} broadcasts");
}
