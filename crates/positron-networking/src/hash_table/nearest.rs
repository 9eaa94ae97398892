//! Who is nearest to a place, and how they were found.

use std::{net::SocketAddr, time::Duration};

use positron_proto::{
    dht::{Contact, LookupStep, NearestTo, Place, SoughtNode, StepOutcome},
    id::NodeId,
    shown::millis,
    wire::Address,
};
use serde::Serialize;

use super::stored::as_millis;

/// The nodes nearest to a place, and every question that led to them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearestNodes {
    /// The place.
    pub place: Place,
    /// The nodes that answered, nearest first.
    pub nodes: Vec<NearestNode>,
    /// How many nodes in a row had to answer until all of them were known.
    pub hops: u32,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
    /// Every question, in the order in which they were asked.
    pub steps: Vec<LookupQuestion>,
}

/// A node that serves the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NearestNode {
    /// Who.
    pub node_id: NodeId,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it is among keys.
    pub place: Place,
    /// The first bits that its place has in common with what was looked for.
    pub common_bits: u32,
}

/// A question of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LookupQuestion {
    /// Whom.
    #[serde(flatten)]
    pub node: NearestNode,
    /// When it was asked, in milliseconds from the first question on.
    pub at_ms: f64,
    /// How many answers led to it, one after the other.
    pub hop: u32,
    /// On which of the disjoint paths, from 0.
    pub path: usize,
    /// What came of it.
    pub end: QuestionEnd,
    /// Milliseconds until the answer, if one came.
    pub answer_ms: Option<f64>,
    /// Contacts in the answer of which nobody had spoken before.
    pub named: usize,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionEnd {
    /// An answer.
    Answered,
    /// Nothing yet when the lookup was over, and others were asked in its stead.
    Slow,
    /// Nothing yet when the lookup was over.
    Waiting,
    /// No answer.
    Failed,
}

/// A node that was looked for by its id: what it says of itself, signed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundNode {
    /// Who.
    pub node_id: NodeId,
    /// Where it says that it is.
    pub addresses: Vec<SocketAddr>,
    /// Its software, as it says: any text.
    pub software: String,
    /// How many nodes were asked: none, if this one knew it.
    pub asked: usize,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
}

impl FoundNode {
    /// What was found, if anything was.
    pub(super) fn of(sought: SoughtNode) -> Option<Self> {
        let SoughtNode { id, record, took, asked } = sought;
        let record = record?.content().clone();
        let addresses = record.addresses.iter().filter_map(Address::socket_addr).collect();
        Some(Self { node_id: id, addresses, software: record.software, asked, took })
    }
}

impl NearestNodes {
    pub(super) fn new(place: Place, nearest: &NearestTo) -> Self {
        let NearestTo { contacts, took, hops, steps } = nearest;
        let began = steps.iter().map(|step| step.at).min().unwrap_or_default();
        let question = |step: &LookupStep| {
            let (end, answer, named) = match step.outcome {
                StepOutcome::Answered { after, new } => (QuestionEnd::Answered, Some(after), new),
                StepOutcome::Slow => (QuestionEnd::Slow, None, 0),
                StepOutcome::Waiting => (QuestionEnd::Waiting, None, 0),
                StepOutcome::Failed => (QuestionEnd::Failed, None, 0),
            };
            LookupQuestion {
                node: NearestNode::new(&place, &step.contact),
                at_ms: millis(step.at.since(began)),
                hop: step.hop,
                path: step.path,
                end,
                answer_ms: answer.map(millis),
                named,
            }
        };
        Self {
            place,
            nodes: contacts.iter().map(|contact| NearestNode::new(&place, contact)).collect(),
            hops: *hops,
            took: *took,
            steps: steps.iter().map(question).collect(),
        }
    }
}

impl NearestNode {
    fn new(to: &Place, contact: &Contact) -> Self {
        Self {
            node_id: contact.id(),
            address: contact.addr(),
            place: contact.place(),
            common_bits: to.distance(&contact.place()).common_bits(),
        }
    }
}
