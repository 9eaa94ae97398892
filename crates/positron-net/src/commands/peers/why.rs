//! `positron-net peers why`: what made a score.

use clap::Args;
use positron_admin::PeerName;
use positron_networking::NodeId;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fields, Fit, count, fitted},
    terminal::{Terminal, sanitised},
};

/// Explains why the score of a peer is what it is: what it did, how often, and what each of it
/// added or took; and who recommends it. Connected or not, if anything was seen of it.
#[derive(Args, Debug)]
pub(crate) struct WhyOptions {
    /// The id of the peer, or its first 16 characters
    #[arg(value_name = "ID")]
    peer: PeerName,
    #[command(flatten)]
    selector: NodeSelector,
}

/// What people are shown of a peer.
#[derive(Debug, Deserialize)]
struct Peer {
    node_id: NodeId,
    why: Why,
}

#[derive(Debug, Deserialize)]
struct Why {
    trust_score: f64,
    initial_score: f64,
    ban_below: f64,
    max_score: f64,
    banned_until: Option<String>,
    banned_for: Option<String>,
    since: String,
    opening_score: f64,
    totals: Vec<Total>,
    drift: f64,
    recent: Vec<Wrong>,
    regard: f64,
    recommended_by: Vec<Word>,
}

#[derive(Debug, Deserialize)]
struct Total {
    observation: String,
    times: u64,
    change: f64,
    last_at: String,
}

#[derive(Debug, Deserialize)]
struct Wrong {
    at: String,
    observation: String,
    change: f64,
    score: f64,
}

#[derive(Debug, Deserialize)]
struct Word {
    node_id: NodeId,
    strength: f64,
    weight: f64,
}

impl WhyOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let answer: Value = running.get(&format!("/v1/peers/{}", self.peer))?;
        if global.json {
            terminal.document(&answer)?;
            return Ok(Exit::Ok);
        }
        let peer: Peer = serde_json::from_value(answer).map_err(|error| {
            Failure::new(Exit::Unreachable, "the running node tells it in a way of its own")
                .because(error)
        })?;
        terminal.data(peer.in_words())?;
        let head = ["when", "what", "how often", "change", "score"];
        let fit = Fit { expendable: &[0, 2], words: Some(1) };
        terminal.data(fitted(head, peer.why.entries(), terminal.width(), fit))?;
        Ok(Exit::Ok)
    }
}

impl Peer {
    fn in_words(&self) -> Fields {
        let Self { node_id, why } = self;
        let mut fields = Fields::default();
        let score = format!(
            "{:.3} of {:.2}; a stranger has {:.2}, below {:.2} it is banned",
            why.trust_score, why.max_score, why.initial_score, why.ban_below
        );
        fields.line("node", node_id).line("score", score);
        if let Some(until) = &why.banned_until {
            let what = why.banned_for.as_deref().unwrap_or("its score");
            fields.line("banned", format!("until {} for {}", sanitised(until), sanitised(what)));
        }
        let words = why.recommended_by.iter().map(|word| {
            let (by, strength, weight) = (word.node_id.short(), word.strength, word.weight);
            format!("{by} says {strength:.2}, and its word weighs {weight:.2}")
        });
        fields.list("recommended by", words);
        if why.regard > why.trust_score {
            fields.line("regard", format!("{:.3}: preferred to a stranger by so much", why.regard));
        }
        fields
    }
}

impl Why {
    /// What makes the score, in the order in which it adds up, and then the last wrongs.
    fn entries(&self) -> Vec<[String; 5]> {
        let entry = |when: &str, what: String, times: String, change: f64, score: Option<f64>| {
            let score = score.map_or_else(String::new, |score| format!("{score:.3}"));
            [sanitised(when), what, times, signed(change), score]
        };
        let opening = format!("{:.3}", self.opening_score);
        let start = "known before, or a stranger".to_owned();
        let mut all = vec![[sanitised(&self.since), start, String::new(), String::new(), opening]];
        all.extend(self.totals.iter().map(|one| {
            entry(&one.last_at, named(&one.observation), count(one.times, "time"), one.change, None)
        }));
        if self.drift != 0.0 {
            let what = "time, back to what a stranger has".to_owned();
            all.push(entry("", what, String::new(), self.drift, None));
        }
        let sum = format!("{:.3}", self.trust_score);
        all.push([String::new(), "now".to_owned(), String::new(), String::new(), sum]);
        all.extend(self.recent.iter().map(|one| {
            let what = format!("of these: {}", named(&one.observation));
            entry(&one.at, what, String::new(), one.change, Some(one.score))
        }));
        all
    }
}

fn named(observation: &str) -> String {
    sanitised(observation).replace('_', " ")
}

fn signed(change: f64) -> String {
    format!("{change:+.4}")
}
