//! What is promised of congestion control, on lines that take seconds to play.

use positron_proto::{datagram::contract::CongestionAlgorithm, time::Duration};

use super::*;

fn alone(line: Bottleneck, control: CongestionAlgorithm) -> FlowReport {
    let times = (Duration::from_secs(1), Duration::from_secs(4));
    play(&line, &[control], times, 1).remove(0)
}

#[test]
fn bbr_does_not_take_chance_for_congestion_and_cubic_does() {
    let lossy = Bottleneck { loss: 0.01, ..Bottleneck::calm() };
    let bbr = alone(lossy, CongestionAlgorithm::Bbr);
    assert!(bbr.goodput > 88e6 && bbr.sent_per_needed < 1.05, "{bbr:?}");
    let cubic = alone(lossy, CongestionAlgorithm::Cubic);
    assert!(cubic.goodput < 30e6, "{cubic:?}");
}

#[test]
fn who_overtakes_is_not_taken_for_who_is_lost() {
    let line = Bottleneck { reordered: 0.05, ..Bottleneck::calm() };
    for control in CongestionAlgorithm::ALL {
        let flow = alone(line, control);
        assert!(flow.goodput > 85e6, "{flow:?}");
    }
}

#[test]
fn one_seed_gives_one_report() {
    let slow = Bottleneck { rate: 5_000_000, loss: 0.02, ..Bottleneck::calm() };
    let controls = CongestionAlgorithm::ALL;
    let times = (Duration::ZERO, Duration::from_secs(2));
    let [first, again, other] = [1, 1, 2].map(|seed| play(&slow, &controls, times, seed));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(
        first.iter().map(|flow| flow.congestion).collect::<Vec<_>>(),
        ["newreno", "cubic", "bbr"]
    );
}

#[test]
fn a_short_and_fast_line_is_filled() {
    let round_trip = Duration::from_micros(200);
    let queue = Duration::from_millis(2);
    let line = Bottleneck { rate: 1_000_000_000, round_trip, queue, ..Bottleneck::calm() };
    for control in CongestionAlgorithm::ALL {
        let times = (Duration::from_millis(200), Duration::from_millis(500));
        let flow = play(&line, &[control], times, 1).remove(0);
        assert!(flow.goodput > 850e6, "{flow:?}");
    }
}
