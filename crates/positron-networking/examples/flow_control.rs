//! Congestion and flow control by itself: a sender of its own on a path that carries 20 datagrams a
//! round trip and loses what is above. Time is an argument, so nothing waits.
//!
//! ```text
//! cargo run --example flow_control
//! ```

use std::time::Duration;

use positron_networking::transport::{AdaptiveFlowController, Instant, Phase};

const DATAGRAM: u64 = 1_400;
const PATH: u64 = 20 * DATAGRAM;
const RECEIVER_WINDOW: u64 = 1 << 20;
const RTT: Duration = Duration::from_millis(50);

fn main() {
    let mut flow = AdaptiveFlowController::new(DATAGRAM);
    let mut now = Instant::ORIGIN;
    assert_eq!(flow.stats().phase, Phase::SlowStart);

    let mut delivered = 0;
    for round in 1..=12 {
        // As much as both windows allow.
        let mut sent = 0;
        while flow.can_send(DATAGRAM) {
            flow.on_send(DATAGRAM);
            sent += DATAGRAM;
        }
        now = now + RTT;
        if sent <= PATH {
            flow.on_ack(sent, RECEIVER_WINDOW, RTT, now);
            delivered += sent;
        } else {
            // The end of the flight is lost, and nothing tells of it but time.
            flow.on_ack(PATH, RECEIVER_WINDOW, RTT, now);
            delivered += PATH;
            now = now + flow.stats().rto;
            flow.on_timeout(now);
        }
        let stats = flow.stats();
        println!(
            "round {round:>2}: sent {:>2} datagrams, window {:>2}, {:?}, timeouts {}",
            sent / DATAGRAM,
            stats.congestion_window / DATAGRAM,
            stats.phase,
            stats.timeouts,
        );
    }

    let stats = flow.stats();
    assert!(stats.timeouts > 0, "slow start finds the end of the path");
    assert!(stats.slow_start_threshold.is_some_and(|threshold| threshold <= PATH));
    assert_eq!(stats.acknowledged, delivered);
    println!("{delivered} bytes were delivered, smoothed round trip time {:?}", stats.srtt);
}
