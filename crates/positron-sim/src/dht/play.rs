//! Plays stories.

use super::{DhtPlot, DhtReport, DhtScenario, deletion, eclipse, experiment::Experiment, flood};

/// Plays a story; the same seed gives the same report.
pub fn play(scenario: &DhtScenario, seed: u64) -> DhtReport {
    let mut experiment = Experiment::new(scenario, seed);
    match scenario.plot {
        DhtPlot::Measure => experiment.measure(),
        DhtPlot::Growth => experiment.grow(),
        DhtPlot::Partition => experiment.partition(),
        DhtPlot::Eclipse { ids, networks, on_offer } => {
            eclipse::play(&mut experiment, ids, (networks, on_offer));
        }
        DhtPlot::Deletion => deletion::play(&mut experiment),
        DhtPlot::Flood => flood::play(&mut experiment),
    }
    experiment.report
}
