//! Many peers claim what does not exist: numbers that nobody used, sets that nobody has, times that
//! have not come (the lie of ASA-2025-001, with which a peer of CometBFT stalled the sync of
//! others).

use positron_proto::time::{Duration, Instant};

use super::{
    experiment::{GossipExperiment, Played, ratio_of},
    figure::Figure,
};
use crate::{
    adversary::Adversary,
    clock::at,
    scenario::{Fault, Scenario, Workload},
    selector::Selector,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sessions of each liar: about as many as a node has.
const PEERS: usize = 12;
/// Time in which nodes find each other before anybody speaks.
const SETTLING: Duration = secs(30);
/// When everything has been said that who comes late has to catch up with.
const SAID: Duration = secs(50);
/// When those come.
const JOINING: Duration = secs(55);
/// When one node begins to say much, and when it has.
const FLOOD: Duration = secs(75);
const SILENCE: Duration = secs(87);
/// Until then nodes may say what they were told to say.
const END: Duration = secs(120);
/// By when everybody has to have everything.
const PATIENCE: Duration = secs(20);
/// Messages that a node keeps: a tenth of what it does unless it is told otherwise, so that a flood
/// that fills them is a small one.
const WINDOW: usize = 1_000;
/// What the flood says a second: twice a window in the time for which a message that others lack
/// stays there.
const A_SECOND: u32 = 200;
/// What is pushed, and what is sent only to who asks for it.
const SMALL: usize = 256;
const LARGE: usize = 20_000;
/// Links that are younger than this are not looked at: so long nobody has to answer.
const YOUNG: Duration = secs(20);
/// The longest that anybody waits for what was claimed.
const LONGEST_WAIT: Duration = secs(10);

/// Any nodes say fifteen things a second, some of them large; then a tenth of the nodes comes late,
/// and at last one node says twice as much as a window holds. Three in ten of all peers of nodes
/// claim the highest numbers that there are of each sender, and lower ones than there are; compare
/// sets that they do not have, without an end; and say and sign what is of the end of time.
pub fn future(nodes: usize) -> GossipExperiment {
    let without = story("without liars", nodes);
    let mut story = story("future", nodes);
    story.guests = vec![Adversary::Prophet { peers: PEERS }; nodes / 2];
    GossipExperiment {
        name: "future",
        story,
        without: Some(without),
        span: (SETTLING, END),
        patience: PATIENCE,
        figures,
    }
}

fn story(name: &str, nodes: usize) -> Scenario {
    let mut story = Scenario::quiet(name, nodes, END + PATIENCE + secs(1))
        .broadcasts(280, SMALL, SETTLING, SAID)
        .broadcasts(20, LARGE, SETTLING, SAID);
    let late = nodes.div_ceil(10);
    story.absent = (nodes - late..nodes).collect();
    story.config.gossip.cache_size = WINDOW;
    let flood = SILENCE.saturating_sub(FLOOD);
    let messages = A_SECOND * u32::try_from(flood.as_secs()).unwrap_or(u32::MAX);
    for n in 0..messages {
        let saying = Workload::Broadcast { from: Some(FLOODER), bytes: SMALL };
        story = story.say(FLOOD + flood * n / messages, saying);
    }
    story.fault(JOINING, Fault::Start(Selector::All))
}

/// A node that is none of the bootstrap nodes and there from the beginning.
const FLOODER: usize = 5;

fn figures(played: &Played, without: Option<&Played>) -> Vec<Figure> {
    let [first, last] = played.guests;
    let beside = |of: fn(&Played) -> f64| {
        let before = without.map_or(f64::NAN, of);
        (of(played), of(played) / before)
    };
    let (caught_up, caught_up_beside) = beside(catching_up);
    let (spoke, spoke_beside) = beside(|played| until_all_have(played, SETTLING, JOINING));
    let (flood, flood_beside) = beside(|played| until_all_have(played, FLOOD, END));
    let (_, late_beside) = beside(|played| played.reach.ms(0.99));
    let longest = |played: &Played| played.report.latency_ms.max / 1e3;
    let (wait, wait_before) = (longest(played), without.map_or(f64::NAN, longest));
    let mut figures = vec![
        Figure::told("peers that lie when all begin to speak", first * 100.0, "%").at_least(30.0),
        Figure::told("peers that lie at the end", last * 100.0, "%"),
        Figure::told("from a saying to a hearing, the longest", wait, "s")
            .at_most(LONGEST_WAIT.as_secs_f64())
            .beside("without an end, CometBFT (ASA-2025-001)"),
        Figure::told("the longest without liars", wait_before, "s"),
        Figure::told("who comes late has all, after", caught_up, "s"),
        Figure::told("who comes late, beside without liars", caught_up_beside, "times")
            .at_most(2.0)
            .beside("never, CometBFT (ASA-2025-001)"),
        Figure::told("all have what any nodes say, after", spoke, "s"),
        Figure::told("what any nodes say, beside without liars", spoke_beside, "times")
            .at_most(2.0),
        Figure::told("all have what one node says, after", flood, "s"),
        Figure::told("what one node says, beside without liars", flood_beside, "times")
            .at_most(2.0),
        Figure::told("delivery, 99 of 100, beside without liars", late_beside, "times"),
        Figure::told("liars that are linked and not demoted", undemoted(played), "%").at_most(0.0),
        Figure::told("liars that are banned", banned(played), "%"),
    ];
    figures.extend(played.reached());
    figures
}

/// Seconds from the beginning of the last of those that come late until it has all that was said
/// before; without an end if it never has.
fn catching_up(played: &Played) -> f64 {
    let said = (at(SETTLING), at(SAID + secs(2)));
    let newcomers = played.ledger.newcomers(at(JOINING));
    let lasted = newcomers.map(|(node, begin)| seconds(begin, played.ledger.has_all(said, node)));
    lasted.fold(0.0, f64::max)
}

/// Seconds from the first thing that is said in a span of time until everybody who runs then has
/// everything of it; without an end if they never have.
fn until_all_have(played: &Played, from: Duration, until: Duration) -> f64 {
    seconds(at(from), played.ledger.all_have((at(from), at(until)), at(from)))
}

fn seconds(from: Instant, until: Instant) -> f64 {
    if until == Instant::FAR_FUTURE { f64::INFINITY } else { until.since(from).as_secs_f64() }
}

/// Of the liars that a node is linked with for a while, how many it holds for strangers or better.
fn undemoted(played: &Played) -> f64 {
    let linked = played.regards.iter().filter(|it| it.linked_for.is_some_and(|it| it >= YOUNG));
    let linked: Vec<_> = linked.collect();
    100.0 * ratio_of(linked.iter().filter(|it| it.fallen <= 0.0).count(), linked.len())
}

fn banned(played: &Played) -> f64 {
    let banned = played.regards.iter().filter(|regard| regard.fallen >= 1.0).count();
    100.0 * ratio_of(banned, played.regards.len())
}
