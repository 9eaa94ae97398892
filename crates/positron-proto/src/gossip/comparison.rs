//! How far two nodes are in comparing notes, at either end.

use std::collections::{BTreeMap, BTreeSet};

use super::message_key::MessageKey;
use crate::{
    id::NodeId,
    limits::{COMPARED_AT_REST, HAD_WITHIN, SKETCH_PIECE, SYNC_TIMEOUT},
    reconciliation::{Decoder, Sketch, Symbol},
    time::Instant,
    wire::holdings::Ranges,
};

/// How many messages an end keeps, and their sum, as its GOSSIP_DIGEST says.
pub(super) type DigestSaid = (u64, [u8; 16]);

/// What both ends of a link last said that they keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastDigests {
    ours: Option<DigestSaid>,
    theirs: Option<DigestSaid>,
    at: Instant,
}

impl LastDigests {
    pub(super) const fn new(now: Instant) -> Self {
        Self { ours: None, theirs: None, at: now }
    }

    pub(super) const fn say(&mut self, now: Instant, kept: DigestSaid) {
        (self.ours, self.at) = (Some(kept), now);
    }

    pub(super) const fn hear(&mut self, now: Instant, kept: DigestSaid) {
        (self.theirs, self.at) = (Some(kept), now);
    }

    /// Whether the peer knows that this is kept here.
    pub(super) fn is_said(&self, kept: DigestSaid) -> bool {
        self.ours == Some(kept)
    }

    /// Whether both keep this, and both know it.
    pub(super) fn is_at_rest(&self, now: Instant, kept: DigestSaid) -> bool {
        self.is_said(kept) && self.theirs == Some(kept) && now.since(self.at) < COMPARED_AT_REST
    }
}

/// At the end that asked: what the peer said that it has, since we sent it a GOSSIP_DIGEST.
#[derive(Debug)]
pub(super) struct Comparison {
    since: Instant,
    /// Of what we have, if it sends a list.
    pub(super) told: BTreeMap<NodeId, Ranges>,
    /// If it sends symbols.
    pub(super) symbols: SymbolsOfPeer,
}

/// What became of the symbols of a peer's set.
#[derive(Debug)]
pub(super) enum SymbolsOfPeer {
    /// None came.
    None,
    /// These, and they are not enough yet.
    NotEnough(Decoder),
    /// No more are expected. It lacks these contents: whichever of their numbers it names has
    /// another one there. None, if there were too few symbols to say so.
    Over(BTreeSet<MessageKey>),
}

impl Comparison {
    pub(super) const fn new(since: Instant) -> Self {
        Self { since, told: BTreeMap::new(), symbols: SymbolsOfPeer::None }
    }

    /// Whether a list of everything may be on its way.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        now.since(self.since) < HAD_WITHIN
    }

    pub(super) fn is_current(&self, now: Instant) -> bool {
        now.since(self.since) < SYNC_TIMEOUT
    }

    /// Whether symbols of it are under way.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        self.is_current(now) && matches!(self.symbols, SymbolsOfPeer::NotEnough(_))
    }

    /// Whether the peer was sent everything after the comparison began.
    pub(super) fn was_told_all(&self, list_sent: Option<Instant>) -> bool {
        list_sent.is_some_and(|sent| sent >= self.since)
    }

    /// The peer has `theirs`; what we do not have ourselves is not remembered, which bounds it.
    pub(super) fn add(&mut self, sender: NodeId, theirs: &Ranges, ours: &Ranges) {
        let both = ours.common_with(theirs);
        if !both.is_empty() {
            let told = self.told.entry(sender).or_default();
            both.iter().for_each(|range| told.insert_range(range));
        }
    }

    /// Takes the numbers of `sender` in `ranges` whose contents differ, at most once each.
    pub(super) fn take_contested(&mut self, sender: NodeId, ranges: &Ranges) -> Vec<MessageKey> {
        let SymbolsOfPeer::Over(items) = &mut self.symbols else { return Vec::new() };
        let named = items.range(MessageKey::all_of(sender));
        let named: Vec<_> = named.filter(|it| ranges.contains(it.sequence)).copied().collect();
        named.iter().for_each(|item| _ = items.remove(item));
        named
    }
}

/// At the end that was asked: the symbols of what was there, each of which is sent once.
#[derive(Debug)]
pub(super) struct OfferedSketch {
    pub(super) sketch: Sketch,
    sent: usize,
}

impl OfferedSketch {
    pub(super) const fn new(sketch: Sketch) -> Self {
        Self { sketch, sent: 0 }
    }

    /// The number of the symbol that is next.
    pub(super) const fn next(&self) -> usize {
        self.sent
    }

    /// The next symbols, none at the end.
    pub(super) fn take_piece(&mut self) -> Vec<Symbol> {
        let piece = self.sketch.symbols().iter().skip(self.sent).take(SKETCH_PIECE);
        let piece: Vec<Symbol> = piece.copied().collect();
        self.sent += piece.len();
        piece
    }
}
