//! What is to be done, as the command line says it.

use std::path::PathBuf;

use positron_sim::experiments::{ECLIPSE, FEWEST_NODES, NAMES, REPUTATION, SIEGES};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Order {
    /// With how many nodes.
    pub(crate) nodes: usize,
    /// Which experiments, in order.
    pub(crate) names: Vec<String>,
    /// With which dice.
    pub(crate) seed: u64,
    /// Whether it is told as JSON.
    pub(crate) json: bool,
    /// Where the chart goes, if one is wanted.
    pub(crate) svg: Option<PathBuf>,
}

/// Nodes beyond which the network has no addresses for all and their guests.
const MOST: usize = 50_000;
/// The same, where there are four guests for each node.
const MOST_BESIEGED: usize = 12_000;

impl Order {
    /// Reads arguments; what is wrong with them, as a sentence.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut places, mut json, mut svg) = (Vec::new(), false, None);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => json = true,
                "--svg" => {
                    let file = arguments.next().ok_or("--svg needs the name of a file")?;
                    svg = Some(file.into());
                }
                option if option.starts_with('-') => {
                    return Err(format!("there is no option {option}"));
                }
                _ => places.push(argument),
            }
        }
        let [nodes, name, seed] = <[String; 3]>::try_from(places)
            .map_err(|given| format!("three arguments are needed, and {} given", given.len()))?;
        let is_siege = SIEGES.contains(&name.as_str());
        let most = if is_siege { MOST_BESIEGED } else { MOST };
        let nodes = match nodes.parse() {
            Ok(count) if (FEWEST_NODES..=most).contains(&count) => count,
            _ => {
                return Err(format!("{nodes} is no number of nodes from {FEWEST_NODES} to {most}"));
            }
        };
        let names: Vec<String> = match name.as_str() {
            "all" => {
                let small = NAMES.into_iter().filter(|name| !SIEGES.contains(name));
                small.map(String::from).collect()
            }
            ECLIPSE | REPUTATION => vec![name],
            one if NAMES.contains(&one) => vec![name],
            _ => return Err(format!("there is no experiment {name}")),
        };
        let seed = seed.parse().map_err(|_| format!("{seed} is no seed: a whole number"))?;
        Ok(Self { nodes, names, seed, json, svg })
    }
}

/// How it is called.
pub(crate) fn usage() -> String {
    let names = NAMES.join("|");
    format!(
        "usage: experiments NODES {names}|all|{ECLIPSE}|{REPUTATION} SEED [--json] [--svg FILE]"
    )
}
