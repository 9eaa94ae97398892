//! What the command line says of the hash table.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// How the hash table is measured.
#[derive(Debug, Args)]
pub(crate) struct DhtOptions {
    /// Sizes of networks, and the percentage of nodes that freeze after they joined: `100`, `60:30`
    #[arg(long, value_delimiter = ',', default_value = "60:30,60,100,500")]
    pub(crate) nodes: Vec<Size>,
    /// Rounds: in each, every contender has a network of its own; medians of them are told
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Values that are stored and measured in a round
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=512))]
    pub(crate) keys: u32,
    /// Operations under way at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) at_once: u32,
    /// Only one of the contenders
    #[arg(long)]
    pub(crate) only: Option<Stack>,
    /// Tell the result, and each round, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stack {
    /// positron-net.
    Positron,
    /// libp2p, with its Kademlia.
    Libp2p,
}

/// The size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    /// How many of a hundred are frozen.
    pub(crate) frozen_percent: usize,
}

impl Stack {
    pub(crate) const ALL: [Self; 2] = [Self::Positron, Self::Libp2p];

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Positron => "positron",
            Self::Libp2p => "libp2p",
        }
    }
}

impl Size {
    /// Nodes that are frozen.
    pub(crate) const fn frozen(self) -> usize {
        self.nodes * self.frozen_percent / 100
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (nodes, frozen) = text.split_once(':').unwrap_or((text, "0"));
        let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
        let size = Self { nodes: number(nodes)?, frozen_percent: number(frozen)? };
        if !(16..=2000).contains(&size.nodes) {
            return Err("a network has 16 to 2000 nodes".into());
        }
        if size.frozen_percent > 50 {
            return Err("at most 50 of 100 nodes can be frozen".into());
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_bounds_and_says_which() {
        let size: Size = "60:30".parse().unwrap();
        assert_eq!((size.nodes, size.frozen()), (60, 18));
        for wrong in ["", "15", "2001", "60:51", "60:", "x", "60:30:1"] {
            assert!(!wrong.parse::<Size>().unwrap_err().is_empty(), "{wrong}");
        }
    }
}
