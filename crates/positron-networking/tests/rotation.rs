//! A node takes a new key, and its peers keep to what they made of the old one.

mod common;

use std::{path::Path, time::Duration};

use common::{DEADLINE, address, beside, config, event, start, until, until_peers, within};
use positron_networking::{
    NetworkConfig, Node, NodeEvent, NodeId, OrderError, Refused, RotatedKey, keys, rotate_key,
};
use positron_proto::{
    id::NetworkId,
    identity::{Identity, Signed},
    node::ChangeId,
    storage::Change,
    succession::{Succession, change::KEYS},
    wire::Reader,
};
use positron_store::{DataFolder, Store};

const HOUR: Duration = Duration::from_secs(3600);

/// A node with a data folder in `folder`, which begins with `others`.
fn lasting(folder: &Path, others: &[&Node]) -> NetworkConfig {
    NetworkConfig { data_dir: Some(folder.join("node")), ..beside(others) }
}

/// The node stops, and starts with a new key where it was.
async fn rotate(node: Node, config: NetworkConfig) -> (Node, RotatedKey) {
    let port = node.listen_addresses()[0].port();
    node.shutdown().await.unwrap();
    let rotated = rotate_key(&config, None).unwrap();
    let node = start(NetworkConfig { port, ..config }).await;
    assert_eq!(node.id(), rotated.new);
    (node, rotated)
}

fn is_reserved(node: &Node, peer: NodeId) -> impl Future<Output = bool> {
    let node = node.clone();
    async move {
        let kept = Err(OrderError::Refused(Refused::IsReserved(peer)));
        node.disconnect(peer).await == kept
    }
}

async fn until_succeeded(events: &mut positron_networking::Events, rotated: RotatedKey) {
    event(events, |event| match event {
        NodeEvent::PeerSucceeded { old, new } => {
            (RotatedKey { old: *old, new: *new } == rotated).then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_a_ban_and_trust_follow_a_new_key_and_last_over_restarts() {
    let (of_alice, of_carol) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bob = start(config()).await;
    let carol = start(lasting(of_carol.path(), &[&bob])).await;
    let alices = lasting(of_alice.path(), &[&bob, &carol]);
    let alice = start(alices.clone()).await;
    until_peers(&alice, 2).await;
    let id = alice.id();
    bob.reserve(id, None).await.unwrap();
    let (mut heard_by_bob, mut heard_by_carol) = (bob.events(), carol.events());
    for n in 0..20 {
        alice.broadcast(&n).await.unwrap();
    }
    let trusts = |of: NodeId| {
        let bob = bob.clone();
        async move { bob.trusted_peers(0.55).await.iter().any(|peer| peer.node_id == of) }
    };
    within(DEADLINE, "trust", async { while !trusts(id).await {} }).await;
    carol.ban(id, "sold us a horse", HOUR).await.unwrap();

    let (alice, rotated) = rotate(alice, alices).await;
    until_succeeded(&mut heard_by_bob, rotated).await;
    until_succeeded(&mut heard_by_carol, rotated).await;
    assert!(is_reserved(&bob, rotated.new).await);
    assert!(trusts(rotated.new).await && !trusts(rotated.old).await);
    alice.join(&address(&carol)).await.unwrap_err();
    let by_its_old_name = bob.disconnect(rotated.old).await;
    assert_eq!(by_its_old_name, Err(OrderError::Refused(Refused::IsReserved(rotated.new))));

    // Carol starts again, and refuses the new key from the first moment on.
    carol.shutdown().await.unwrap();
    let carol = start(lasting(of_carol.path(), &[])).await;
    assert_eq!(carol.stats().trust.banned, 1);
    let refused = alice.join(&address(&carol)).await.unwrap_err().to_string();
    assert!(refused.contains("banned"), "{refused}");
    carol.unban(rotated.old).await.unwrap();
    alice.join(&address(&carol)).await.unwrap();
}

/// Bob is behind something that lets nobody in, and dials Alice where she always was.
#[tokio::test(flavor = "multi_thread")]
async fn who_dials_a_reserved_peer_and_finds_its_successor_hears_so() {
    let folder = tempfile::tempdir().unwrap();
    let alices = lasting(folder.path(), &[]);
    let alice = start(alices.clone()).await;
    let (id, at) = (alice.id(), alice.listen_addresses()[0]);
    let (alice, rotated) = rotate(alice, alices).await;
    let bob = start(config()).await;
    let mut heard = bob.events();
    bob.reserve(id, Some(at)).await.unwrap();
    until_succeeded(&mut heard, rotated).await;
    until_peers(&alice, 1).await;
    assert!(is_reserved(&bob, rotated.new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_a_key_is_refused_and_hears_why() {
    let folder = tempfile::tempdir().unwrap();
    let bob = start(config()).await;
    let alices = lasting(folder.path(), &[&bob]);
    let alice = start(alices.clone()).await;
    until_peers(&alice, 1).await;
    let copy = keys::load(&alices.key_path().unwrap(), None).unwrap().unwrap();
    let mut heard = bob.events();
    let (_alice, rotated) = rotate(alice, alices).await;
    until_succeeded(&mut heard, rotated).await;
    let thief = Node::builder(beside(&[&bob])).identity(copy).start().await.unwrap();
    let mut told = thief.events();
    let successor = event(&mut told, |event| match event {
        NodeEvent::KeyRetired { successor } => Some(*successor),
        _ => None,
    });
    assert_eq!(successor.await, rotated.new);
    until("refused", || bob.stats().discovery.inbound_refused_retired > 0).await;
    assert_eq!(thief.stats().active_peers, 0);
}

/// What a node finds in its own database, it says without looking: so a liar is made.
fn believes(config: &NetworkConfig, claim: &Signed<Succession>) {
    let lock = DataFolder::lock(config.data_dir.as_ref().unwrap()).unwrap();
    let network = NetworkId::from_name(&config.network);
    let (store, _) = Store::open(lock, network, &config.network, drop).unwrap();
    let mut value = Vec::new();
    claim.encode(&mut value);
    let old = claim.content().predecessor().as_bytes().to_vec();
    store.persist(ChangeId(1), Change::keep(&KEYS, old, value)).unwrap();
    store.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_succession_is_refused_and_a_second_one_told() {
    let folder = tempfile::tempdir().unwrap();
    let network = NetworkId::from_name(&config().network);
    let [alice, heir] = [[1; 32], [2; 32]].map(Identity::from_seed);
    let (old, first) = (alice.node_id(), heir.node_id());
    let bob = start(config()).await;
    bob.reserve(old, None).await.unwrap();

    // Mallory says that Alice's key gave way to hers, and Alice never signed that.
    let mallorys = lasting(folder.path(), &[&bob]);
    let mallory = start(NetworkConfig { bootstrap_nodes: Vec::new(), ..mallorys.clone() }).await;
    mallory.shutdown().await.unwrap();
    let key = keys::load(&mallorys.key_path().unwrap(), None).unwrap().unwrap();
    let made = Identity::from_seed([3; 32]);
    let mut bytes = Vec::new();
    Succession::sign(&made, &key, &network).claim().encode(&mut bytes);
    bytes[..32].copy_from_slice(alice.public_key().as_bytes());
    let forged = Signed::<Succession>::decode(&mut Reader::new(bytes.into())).unwrap();
    believes(&mallorys, &forged);
    let mallory = start(mallorys.clone()).await;
    until("found out", || bob.stats().succession.forged == 1).await;
    assert!(is_reserved(&bob, old).await && !is_reserved(&bob, key.node_id()).await);
    assert_eq!(bob.stats().succession.learned, 0);
    mallory.shutdown().await.unwrap();

    // Alice's key does give way to her heir's.
    let give_way = |to: Identity| {
        let (folder, at) = (folder.path().to_owned(), address(&bob));
        let claim = Succession::sign(&Identity::from_seed([1; 32]), &to, &network).claim().clone();
        async move {
            let data_dir = Some(folder.join(to.node_id().short()));
            let bootstrap_nodes = vec![at];
            let config = NetworkConfig { data_dir, bootstrap_nodes, ..config() };
            believes(&config, &claim);
            Node::builder(config).identity(to).start().await.unwrap()
        }
    };
    let mut heard = bob.events();
    let first_node = give_way(heir).await;
    until_succeeded(&mut heard, RotatedKey { old, new: first }).await;
    // Told again, it changes nothing; and what a thief signs later is refused.
    let second_node = give_way(Identity::from_seed([4; 32])).await;
    let refused = event(&mut heard, |event| match event {
        NodeEvent::SuccessionConflict { old, kept, refused } => Some((*old, *kept, *refused)),
        _ => None,
    });
    assert_eq!(refused.await, (old, first, second_node.id()));
    first_node.shutdown().await.unwrap();
    let again = give_way(Identity::from_seed([2; 32])).await;
    until("linked again", || bob.stats().peers.iter().any(|peer| peer.node_id == again.id())).await;
    assert!(is_reserved(&bob, first).await && !is_reserved(&bob, second_node.id()).await);
    assert_eq!(bob.stats().succession.learned, 1);
}
