//! What is going to happen to a host, and what it makes happen to others.

use std::collections::BinaryHeap;

use positron_proto::time::Instant;

use crate::event::{Entry, Event};

/// The events of one host, in order, and those that it sent to others in this window.
#[derive(Debug)]
pub(crate) struct EventQueue {
    me: u32,
    sent: u64,
    inbox: BinaryHeap<Entry>,
    pub(crate) outbox: Vec<(u32, Entry)>,
}

impl EventQueue {
    pub(crate) const fn new(me: u32) -> Self {
        Self { me, sent: 0, inbox: BinaryHeap::new(), outbox: Vec::new() }
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.inbox.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.inbox.pop()
    }

    /// Takes in what another host sent.
    pub(crate) fn receive(&mut self, entry: Entry) {
        self.inbox.push(entry);
    }

    /// Lets something happen here, in this life.
    pub(crate) fn later(&mut self, at: Instant, life: u32, event: Event) {
        let entry = self.entry(at, life, event);
        self.inbox.push(entry);
    }

    /// Lets something happen at another host (or here), in that life of its process.
    pub(crate) fn send(&mut self, host: u32, at: Instant, life: u32, event: Event) {
        let entry = self.entry(at, life, event);
        if host == self.me {
            self.inbox.push(entry);
        } else {
            self.outbox.push((host, entry));
        }
    }

    /// How many events were sent: a name that is never used twice.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    const fn entry(&mut self, at: Instant, life: u32, event: Event) -> Entry {
        self.sent += 1;
        Entry { at, from: (self.me, self.sent), life, event }
    }
}
