//! The threat models of EigenTrust, at every part of all nodes.

use positron_proto::rng::Seed;

use super::{
    super::figure::Figure,
    town::{Choice, Plan, ServiceTally, Threat, play},
};

/// The names of a curve: a figure at each part of all nodes that means harm.
macro_rules! curve {
    ($what:literal) => {
        [
            concat!($what, ", 0 % hostile"),
            concat!($what, ", 10 % hostile"),
            concat!($what, ", 20 % hostile"),
            concat!($what, ", 30 % hostile"),
            concat!($what, ", 40 % hostile"),
            concat!($what, ", 50 % hostile"),
            concat!($what, ", 60 % hostile"),
            concat!($what, ", 70 % hostile"),
        ]
    };
}

struct Curve {
    threat: Threat,
    choice: Choice,
    names: [&'static str; 8],
    /// At most so much at 70 %, and what others reach there.
    at_70: Option<(f64, &'static str)>,
}

/// What is played at one part only, with 40 % of all nodes hostile.
struct Point {
    name: &'static str,
    threat: Threat,
    choice: Choice,
    mistakes: f64,
    /// Only the last quarter of the time is looked at.
    is_late: bool,
}

/// All of it, each figure as soon as it is there.
pub(super) fn figures(nodes: usize, hours: u64, seed: &Seed) -> impl Iterator<Item = Figure> {
    let curves = CURVES.iter().flat_map(move |curve| {
        (0..8).map(move |tenths| {
            let (threat, choice) = (curve.threat, curve.choice);
            let plan = plan(nodes, hours, tenths, threat, choice);
            let bad = play(plan, &seed.child(curve.names[tenths])).bad();
            let figure = Figure::told(curve.names[tenths], bad, "%");
            match (tenths, curve.at_70) {
                (4, _) => figure.at_most(MOST_AT_40),
                (7, Some((most, published))) => figure.at_most(most).beside(published),
                _ => figure,
            }
        })
    });
    let points = POINTS.iter().map(move |point| {
        let plan = plan(nodes, hours, 4, point.threat, point.choice);
        let tally = play(Plan { mistakes: point.mistakes, ..plan }, &seed.child(point.name));
        let bad = if point.is_late { ServiceTally::bad_late } else { ServiceTally::bad };
        Figure::told(point.name, bad(&tally), "%")
    });
    curves.chain(points)
}

fn plan(nodes: usize, hours: u64, tenths: usize, threat: Threat, choice: Choice) -> Plan {
    let hostile = nodes * tenths / 10;
    Plan { threat, choice, people: (nodes - hostile, hostile), hours, mistakes: 0.0 }
}

const fn curve(
    threat: Threat,
    choice: Choice,
    names: [&'static str; 8],
    at_70: Option<(f64, &'static str)>,
) -> Curve {
    Curve { threat, choice, names, at_70 }
}

const fn point(name: &'static str, threat: Threat, choice: Choice) -> Point {
    Point { name, threat, choice, mistakes: 0.0, is_late: false }
}

/// Of what is served, so much is bad at most where four of ten nodes mean harm.
const MOST_AT_40: f64 = 10.0;
/// What a summary of the paper says of its figure 5; the figure itself was not at hand.
const EIGENTRUST: Option<(f64, &str)> = Some((10.0, "about 10 %, EigenTrust"));

const CURVES: [Curve; 8] = [
    curve(Threat::Alone, Choice::Offers, curve!("A, offers"), EIGENTRUST),
    curve(Threat::Collective, Choice::Offers, curve!("B, offers"), EIGENTRUST),
    curve(Threat::Camouflage(0.5), Choice::Offers, curve!("C half bad, offers"), None),
    curve(Threat::Spies, Choice::Offers, curve!("D, offers"), None),
    curve(Threat::Alone, Choice::Links, curve!("A, links"), EIGENTRUST),
    curve(Threat::Collective, Choice::Links, curve!("B, links"), EIGENTRUST),
    curve(Threat::Camouflage(0.5), Choice::Links, curve!("C half bad, links"), None),
    curve(Threat::Spies, Choice::Links, curve!("D, links"), None),
];

const POINTS: [Point; 17] = [
    point("A, anybody is asked, 40 % hostile", Threat::Alone, Choice::Chance),
    point("C 10 % bad, offers, 40 % hostile", Threat::Camouflage(0.1), Choice::Offers),
    point("C 30 % bad, offers, 40 % hostile", Threat::Camouflage(0.3), Choice::Offers),
    point("C 70 % bad, offers, 40 % hostile", Threat::Camouflage(0.7), Choice::Offers),
    point("C 90 % bad, offers, 40 % hostile", Threat::Camouflage(0.9), Choice::Offers),
    point("C 10 % bad, links, 40 % hostile", Threat::Camouflage(0.1), Choice::Links),
    point("C 30 % bad, links, 40 % hostile", Threat::Camouflage(0.3), Choice::Links),
    point("C 70 % bad, links, 40 % hostile", Threat::Camouflage(0.7), Choice::Links),
    point("C 90 % bad, links, 40 % hostile", Threat::Camouflage(0.9), Choice::Links),
    point("A with new keys, offers, 40 % hostile", Threat::Whitewash, Choice::Offers),
    point("A with new keys, links, 40 % hostile", Threat::Whitewash, Choice::Links),
    Point {
        mistakes: 0.05,
        ..point("A, offers, honest err in 5 %, 40 % hostile", Threat::Alone, Choice::Offers)
    },
    Point {
        mistakes: 0.05,
        ..point("A, links, honest err in 5 %, 40 % hostile", Threat::Alone, Choice::Links)
    },
    Point {
        is_late: true,
        ..point("A, links, last quarter, 40 % hostile", Threat::Alone, Choice::Links)
    },
    Point {
        is_late: true,
        ..point("C half bad, links, last quarter, 40 %", Threat::Camouflage(0.5), Choice::Links)
    },
    Point {
        is_late: true,
        ..point("D, links, last quarter, 40 % hostile", Threat::Spies, Choice::Links)
    },
    Point {
        is_late: true,
        ..point("A with new keys, links, last quarter, 40 %", Threat::Whitewash, Choice::Links)
    },
];
