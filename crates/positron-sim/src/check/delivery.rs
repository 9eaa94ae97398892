//! Each message is handed over exactly once in each life of a process, and was really said, by
//! exactly whom it names.

use std::collections::BTreeSet;

use bytes::Bytes;
use positron_proto::{id::MessageId, node::SequenceKind, time::Instant};

use super::spread::Spreads;
use crate::{
    clock::micros,
    published::{self, Published},
    report::Dissemination,
};

/// A message that a node handed to its application.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) at: Instant,
    pub(crate) host: usize,
    pub(crate) id: MessageId,
    /// The host with the sender's id, if there is one.
    pub(crate) sender: Option<usize>,
    /// The host that brought it, if it is one of ours.
    pub(crate) from: Option<usize>,
    pub(crate) kind: SequenceKind,
    pub(crate) payload: &'a Bytes,
}

/// What each node handed over.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    hosts: Vec<Host>,
    /// Hosts that are no nodes of ours: what they say is not known here.
    strangers: usize,
    /// Whether one of those takes keys that nobody in the world has.
    are_keys_made_up: bool,
    pub(crate) deliveries: u64,
    pub(crate) duplicates: u64,
    pub(crate) redeliveries: u64,
    pub(crate) directs_received: u64,
    undisturbed: Vec<u32>,
    disturbed: Vec<u32>,
    spreads: Spreads,
}

#[derive(Clone, Debug, Default)]
struct Host {
    this_life: Bits,
    ever: Bits,
    of_strangers: BTreeSet<MessageId>,
    started: Instant,
}

impl Delivery {
    /// `nodes` nodes of ours, and after them `strangers` other hosts.
    pub(crate) fn new(nodes: usize, strangers: usize) -> Self {
        let hosts = vec![Host::default(); nodes + strangers];
        Self { hosts, strangers, spreads: Spreads::new(nodes), ..Self::default() }
    }

    /// The same where a stranger may have as many keys as it likes, or not.
    #[must_use]
    pub(crate) fn with_made_up_keys(mut self, are_keys_made_up: bool) -> Self {
        self.are_keys_made_up = are_keys_made_up;
        self
    }

    /// A process starts: what an earlier one heard may be heard again.
    pub(crate) fn handle_start(&mut self, host: usize, at: Instant) {
        let host = &mut self.hosts[host];
        host.this_life = Bits::default();
        host.of_strangers.clear();
        host.started = at;
    }

    pub(crate) fn heard(&mut self, heard: &Heard<'_>, said: &[Published]) -> Result<(), String> {
        let nodes = self.hosts.len() - self.strangers;
        if heard.sender.is_none() && !self.are_keys_made_up {
            return Err(format!("message {} of a node that does not exist", heard.id));
        }
        let Some(sender) = heard.sender.filter(|sender| *sender < nodes) else {
            let new = self.hosts[heard.host].of_strangers.insert(heard.id);
            return if new {
                Ok(())
            } else {
                Err(format!("message {} handed over twice", heard.id))
            };
        };
        let Ok(index) = published::index_of(said, heard.kind, heard.payload) else {
            return Err(format!("message {} of node {sender}, who never said it", heard.id));
        };
        let this = &said[index];
        if this.from != sender {
            return Err(format!("what node {} said came in the name of node {sender}", this.from));
        }
        if this.id.is_some_and(|id| id != heard.id) {
            return Err(format!("message {index} of node {sender} has two ids"));
        }
        self.once(heard, index, this)
    }

    fn once(&mut self, heard: &Heard<'_>, index: usize, this: &Published) -> Result<(), String> {
        let host = &mut self.hosts[heard.host];
        if !host.this_life.insert(index) {
            self.duplicates += 1;
            return Err(format!("message {index} of node {} handed over twice", this.from));
        }
        if !host.ever.insert(index) {
            self.redeliveries += 1;
            return Ok(());
        }
        if this.kind == SequenceKind::Direct {
            self.directs_received += 1;
            let right = this.to == heard.host;
            return if right {
                Ok(())
            } else {
                Err(format!("message {index} was for another node"))
            };
        }
        self.deliveries += 1;
        let latency = u32::try_from(micros(heard.at.since(this.at))).unwrap_or(u32::MAX);
        if this.disturbed || host.started > this.at {
            self.disturbed.push(latency);
        } else {
            self.undisturbed.push(latency);
            let hop = (heard.host, heard.from);
            self.spreads.handle_heard(index, hop, heard.at.since(this.at));
        }
        Ok(())
    }

    /// Whether `host` ever handed over what has this index.
    pub(crate) fn has(&self, host: usize, index: usize) -> bool {
        self.hosts[host].ever.contains(index)
    }

    /// Whether the process that runs on `host` handed it over.
    pub(crate) fn has_now(&self, host: usize, index: usize) -> bool {
        self.hosts[host].this_life.contains(index)
    }

    /// How broadcasts spread that nothing concerned.
    pub(crate) fn dissemination(&self, said: &[Published]) -> Dissemination {
        self.spreads.sum(said)
    }

    /// Latencies in microseconds: of undisturbed deliveries, and of all.
    pub(crate) fn latencies(&self) -> (Vec<u32>, Vec<u32>) {
        let all = self.undisturbed.iter().chain(&self.disturbed).copied().collect();
        (self.undisturbed.clone(), all)
    }
}

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & 1 << (number % 64) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(from: usize) -> Published {
        Published {
            kind: SequenceKind::Broadcast,
            from,
            to: from,
            at: Instant::ORIGIN,
            life: 1,
            bytes: 30,
            id: Some(MessageId::from_bytes([from.try_into().unwrap(); 32])),
            durable: false,
            disturbed: false,
        }
    }

    fn heard<'a>(payload: &'a Bytes, sender: usize, said: &[Published]) -> Heard<'a> {
        let (kind, id) = (SequenceKind::Broadcast, said[sender].id.unwrap());
        let at = Instant::from_micros(5_000);
        Heard { at, host: 2, id, sender: Some(sender), from: Some(sender), kind, payload }
    }

    #[test]
    fn a_second_handing_over_in_one_life_is_a_broken_promise_and_in_the_next_life_is_not() {
        let said = [said_by(0), said_by(1)];
        let payload = published::payload(SequenceKind::Broadcast, 1, 30);
        let mut delivery = Delivery::new(3, 0);
        let heard = heard(&payload, 1, &said);
        assert_eq!(delivery.heard(&heard, &said), Ok(()));
        assert!(delivery.heard(&heard, &said).is_err());
        delivery.handle_start(2, Instant::from_micros(9_000));
        assert_eq!(delivery.heard(&heard, &said), Ok(()));
        assert_eq!((delivery.deliveries, delivery.duplicates, delivery.redeliveries), (1, 1, 1));
        assert_eq!(delivery.latencies(), (vec![5_000], vec![5_000]));
    }

    #[test]
    fn what_nobody_said_and_what_another_one_said_are_broken_promises() {
        let said = [said_by(0), said_by(1)];
        let mut delivery = Delivery::new(3, 0);
        let never = Bytes::from_static(b"never said");
        assert!(delivery.heard(&heard(&never, 1, &said), &said).is_err());
        let of_another = published::payload(SequenceKind::Broadcast, 0, 30);
        assert!(delivery.heard(&heard(&of_another, 1, &said), &said).is_err());
        let payload = published::payload(SequenceKind::Broadcast, 1, 30);
        let stranger = Heard { sender: None, ..heard(&payload, 1, &said) };
        assert!(delivery.heard(&stranger, &said).is_err());
        let mut delivery = Delivery::new(3, 1);
        assert!(delivery.heard(&stranger, &said).is_err(), "a guest has the key that it has");
        let mut delivery = delivery.with_made_up_keys(true);
        assert_eq!(delivery.heard(&stranger, &said), Ok(()));
        assert!(delivery.heard(&stranger, &said).is_err(), "once");
    }
}
