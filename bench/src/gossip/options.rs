//! What the command line says of gossip.

use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;

/// How gossip is measured.
#[derive(Debug, Args)]
pub(crate) struct GossipOptions {
    /// Sizes of networks
    #[arg(long, value_delimiter = ',', default_value = "10,50,100",
          value_parser = value_parser!(u32).range(5..=500))]
    pub(crate) nodes: Vec<u32>,
    /// Sizes of messages
    #[arg(long, value_delimiter = ',', default_value = "256,4096",
          value_parser = value_parser!(u32).range(16..=32_768))]
    pub(crate) bytes: Vec<u32>,
    /// Rounds: in each, every contender has a network of its own; medians of them are told
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Messages under way at once, in the whole network
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) outstanding: u32,
    /// Seconds for which messages are published, each time
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
    /// Seconds of rest before messages are published apart
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(0..=120))]
    pub(crate) pause: u32,
    /// Only one of the contenders
    #[arg(long, value_name = "STACK")]
    pub(crate) only: Option<Protocol>,
    /// Tell the result, and each round, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// positron-net, in memory.
    Positron,
    /// positron-net, each node with a data folder.
    PositronDisk,
    /// gossipsub of libp2p.
    Gossipsub,
    /// iroh-gossip.
    Iroh,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] =
        [Self::Positron, Self::PositronDisk, Self::Gossipsub, Self::Iroh];

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Positron => "positron",
            Self::PositronDisk => "positron-disk",
            Self::Gossipsub => "gossipsub",
            Self::Iroh => "iroh",
        }
    }

    /// As it is written above a column.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Positron => "positron-net",
            Self::PositronDisk => "positron-net, on disk",
            Self::Gossipsub => "gossipsub",
            Self::Iroh => "iroh-gossip",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: GossipOptions,
    }

    fn read(line: &str) -> Result<GossipOptions, clap::Error> {
        let words = ["gossip"].into_iter().chain(line.split_ascii_whitespace());
        Line::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn sizes_are_lists_and_each_contender_is_called_by_its_name() {
        let options = read("--nodes 10,20 --bytes 64").unwrap();
        assert_eq!((options.nodes, options.bytes), (vec![10, 20], vec![64]));
        assert_eq!(read("").unwrap().nodes, [10, 50, 100]);
        for protocol in Protocol::ALL {
            let options = read(&format!("--only {}", protocol.name())).unwrap();
            assert_eq!(options.only, Some(protocol));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for wrong in ["--nodes 4", "--nodes 10,501", "--bytes 15", "--bytes 32769", "--only kad"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["--rounds 0", "--outstanding 0", "--seconds 61", "--pause 121", "--nodes x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
