//! The stories that have a name.
//!
//! ```
//! use positron_sim::stories;
//!
//! let story = stories::named("turnover", 5).unwrap();
//! assert_eq!((story.nodes, story.sayings.len()), (5, 120));
//! assert!(stories::named("turnvoer", 5).is_none());
//! ```

use positron_proto::{session::sessions::LinkKind, time::Duration};

use crate::{
    scenario::{Cut, Death, Fault, Scenario},
    selector::Selector,
    title::{Title, names},
};

pub use crate::{soak::soak, storm::storm};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What can be played.
pub(crate) const TITLES: [Title<Scenario>; 7] = [
    Title { name: "default", about: "a third is cut off for twelve seconds", of: default },
    Title {
        name: "crashes",
        about: "a bootstrap node dies, later a third of all nodes; all come back",
        of: crashes,
    },
    Title {
        name: "turnover",
        about: "every five seconds some nodes stop or die, and others come back",
        of: turnover,
    },
    Title { name: "split", about: "half is cut off three times, in two ways", of: split },
    Title { name: "late", about: "a fifth comes when everything has been said", of: late },
    Title {
        name: "stalls",
        about: "loss, slow disks and processors, large messages, a node that does not read",
        of: stalls,
    },
    Title {
        name: "filters",
        about: "firewalls drop datagrams or streams, translators forget, nodes die",
        of: filters,
    },
];

/// What they are called.
pub const NAMES: [&str; TITLES.len()] = names(&TITLES);

/// The story called `name` with `nodes` nodes.
pub fn named(name: &str, nodes: usize) -> Option<Scenario> {
    TITLES.iter().find(|title| title.name == name).map(|title| (title.of)(nodes))
}

/// A minute with 100 broadcasts; a third of the network is cut off from 20 s to 32 s, and 30 of
/// the broadcasts are sent while it is.
pub fn default(nodes: usize) -> Scenario {
    Scenario::quiet("default", nodes, secs(60))
        .fault(secs(20), Fault::Partition { side: Selector::Part(1.0 / 3.0), cut: Cut::Hold })
        .fault(secs(32), Fault::Heal)
        .broadcasts(35, 256, secs(10), secs(19))
        .broadcasts(30, 256, secs(20), secs(32))
        .broadcasts(35, 256, secs(33), secs(50))
}

/// A bootstrap node is killed, and later a third of all nodes, half of them by a loss of power;
/// all come back.
pub fn crashes(nodes: usize) -> Scenario {
    let third = Selector::Part(1.0 / 6.0);
    Scenario::quiet("crashes", nodes, secs(90))
        .broadcasts(100, 256, secs(10), secs(70))
        .fault(secs(15), Fault::Crash { who: Selector::Node(0), death: Death::Killed })
        .fault(secs(25), Fault::Start(Selector::All))
        .fault(secs(35), Fault::Crash { who: third.clone(), death: Death::Killed })
        .fault(secs(36), Fault::Crash { who: third, death: Death::PowerCut })
        .fault(secs(50), Fault::Start(Selector::All))
}

/// Every five seconds some nodes stop or die and those of before come back.
pub fn turnover(nodes: usize) -> Scenario {
    let mut story =
        Scenario::quiet("turnover", nodes, secs(120)).broadcasts(120, 256, secs(10), secs(95));
    for round in 0..16 {
        let at = secs(15 + 5 * round);
        let who = Selector::PartOfOthers(0.1);
        story = story.fault(at, Fault::Start(Selector::All)).fault(
            at + secs(1),
            match round % 3 {
                0 => Fault::Stop(who),
                1 => Fault::Crash { who, death: Death::Killed },
                _ => Fault::Crash { who, death: Death::PowerCut },
            },
        );
    }
    story.fault(secs(95), Fault::Start(Selector::All))
}

/// Half of the network is cut off three times, twice for good as far as connections are
/// concerned.
pub fn split(nodes: usize) -> Scenario {
    let mut story =
        Scenario::quiet("split", nodes, secs(120)).broadcasts(100, 256, secs(10), secs(95));
    for (from, until, cut) in [(15, 35, Cut::Hold), (45, 65, Cut::Sever), (75, 95, Cut::Sever)] {
        story = story
            .fault(secs(from), Fault::Partition { side: Selector::Part(0.5), cut })
            .fault(secs(until), Fault::Heal);
    }
    story
}

/// A fifth of the nodes comes when everything has been said.
pub fn late(nodes: usize) -> Scenario {
    let mut story =
        Scenario::quiet("late", nodes, secs(60)).broadcasts(100, 256, secs(10), secs(30));
    story.absent = (0..nodes).skip(1).filter(|node| node % 5 == 4).collect();
    story.fault(secs(35), Fault::Start(Selector::All))
}

/// Ten times the loss, slow disks, slow workers, messages of 64 KiB and a node that does not
/// read.
pub fn stalls(nodes: usize) -> Scenario {
    let mut story = Scenario::quiet("stalls", nodes, secs(90))
        .broadcasts(40, 256, secs(10), secs(50))
        .broadcasts(10, 64 * 1024, secs(10), secs(50))
        .fault(secs(20), Fault::StopReading(Selector::PartOfOthers(0.1)))
        .fault(secs(45), Fault::ReadAgain(Selector::All))
        .fault(secs(30), Fault::Freeze { who: Selector::Part(0.1), lasting: secs(4) });
    story.physics.loss = 0.2;
    story.physics = story.physics.slow_disks().slow_verdicts();
    story
}

/// Firewalls drop datagrams, streams, or datagrams of one direction, and address translators
/// forget connections, while nodes die and come back.
pub fn filters(nodes: usize) -> Scenario {
    let third = || Selector::Part(1.0 / 3.0);
    let filter = |who, transport| Fault::Filter { who, transport };
    Scenario::quiet("filters", nodes, secs(130))
        .broadcasts(120, 256, secs(8), secs(100))
        .fault(secs(15), filter(third(), LinkKind::Udp))
        .fault(secs(25), Fault::Crash { who: Selector::PartOfOthers(0.2), death: Death::Killed })
        .fault(secs(32), Fault::Start(Selector::All))
        .fault(secs(40), Fault::Unfilter(Selector::All))
        .fault(secs(45), filter(third(), LinkKind::Tcp))
        .fault(secs(50), Fault::Crash { who: Selector::PartOfOthers(0.2), death: Death::PowerCut })
        .fault(secs(55), Fault::Mute(third()))
        .fault(secs(60), Fault::Rebind(third()))
        .fault(secs(65), Fault::Start(Selector::All))
        .fault(secs(70), Fault::Unfilter(Selector::All))
        .fault(secs(75), Fault::Rebind(Selector::Part(0.5)))
        .fault(secs(80), filter(Selector::All, LinkKind::Udp))
        .fault(secs(95), Fault::Unfilter(Selector::All))
}
