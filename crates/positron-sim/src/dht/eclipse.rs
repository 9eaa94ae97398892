//! Ids that are ground next to somebody's key.

use std::net::{Ipv4Addr, SocketAddr};

use positron_proto::{
    dht::{NameHash, Place, ReadMode, RecordKind},
    id::NodeId,
    identity::Identity,
    time::Duration,
};

use super::{Hostility, experiment::Experiment, hostile::Conspiracy, table_world::TableWorld};

/// Ten keys are attacked, each by others, before anything is stored under them; then each is
/// stored, and read by many.
pub(super) fn play(experiment: &mut Experiment, ids: usize, networks: (usize, usize)) {
    for n in 0..KEYS {
        let name = NameHash::of_name(&format!("record {n}")).expect("a name");
        // Whoever publishes under a shared name, its key is the same.
        let key = name.key(RecordKind::Shared, &NodeId::from_bytes([0; 32]));
        surround(&mut experiment.world, key, ids, networks);
    }
    experiment.world.run_for(Duration::from_secs(900));
    let keys = experiment.puts(0..KEYS, true);
    let readers = experiment.world.scenario.operations.div_ceil(2 * KEYS);
    for _ in 0..readers {
        for mode in [ReadMode::First, ReadMode::Fresh] {
            experiment.gets(0, &keys, mode);
        }
    }
}

/// The best networks are taken, and in each of them the place that is nearest.
fn surround(world: &mut TableWorld, prey: Place, ids: usize, (networks, on_offer): (usize, usize)) {
    let harm = world.conspiracies.len();
    world.conspiracies.push(Conspiracy::new(Hostility::Collude, Some(prey)));
    let slots: Vec<_> = (0..=u8::MAX).take(8).map(|slot| NodeId::from_bytes([slot; 32])).collect();
    let mut offers = Vec::new();
    for _ in 0..on_offer {
        let addr = world.address();
        let nearest = slots.iter().map(|slot| prey.distance(&Place::of_node(slot, addr))).min();
        offers.push((nearest, addr));
    }
    offers.sort_unstable();
    offers.truncate(networks);
    for n in 0..ids {
        let (Some(nearest), SocketAddr::V4(addr)) = offers[n % offers.len()] else { continue };
        let [a, b, c, _] = addr.ip().octets();
        let host = u8::try_from(1 + n / offers.len()).unwrap_or(u8::MAX);
        let addr = SocketAddr::from((Ipv4Addr::new(a, b, c, host), 8888));
        let me = loop {
            let me = Identity::from_seed(world.dice.bytes());
            if prey.distance(&Place::of_node(&me.node_id(), addr)) == nearest {
                break me;
            }
        };
        world.add_node_of(me, addr, false, Some(harm));
    }
}

/// Keys that are attacked.
const KEYS: usize = 10;
