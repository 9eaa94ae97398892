//! Datagram connections on made-up paths: many small worlds, each from a seed. A failure prints
//! the seed and what happened; `cargo run -p positron-sim --example packets -- --seed N --trace`
//! repeats it to the last bit.

use std::thread;

use positron_sim::packets::run;

/// Seeds that every test run plays.
const SEEDS: u64 = 1_000;

#[test]
fn every_promise_holds_on_a_thousand_seeds() {
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for seed in (half..SEEDS).step_by(2) {
                    run(seed).expect_ok();
                }
            });
        }
    });
}

#[test]
fn one_seed_gives_one_run_and_another_seed_another() {
    let [first, again, other] = [1, 1, 2].map(run);
    assert_eq!(first.run_hash, again.run_hash);
    assert_eq!((first.steps, first.datagrams), (again.steps, again.datagrams));
    assert_ne!(first.run_hash, other.run_hash);
}
