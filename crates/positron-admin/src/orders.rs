//! Of whom an order is: how a peer, or addresses, are named, and who that is.

use std::{collections::BTreeSet, fmt, str::FromStr};

use positron_networking::{Banned, Node, NodeId, Subnet};

use crate::refusal::Refusal;

/// A node by its id, or by the first 16 characters of it, which is what people are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerName(String);

impl FromStr for PeerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let reads = matches!(text.len(), 16 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit());
        if reads {
            Ok(Self(text))
        } else {
            Err("the id of a node has 64 hexadecimal characters; the first 16 do for one that this \
                 node knows"
                .into())
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is banned: a node, or whoever is at some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// This node.
    Node(PeerName),
    /// Whoever is there.
    Addresses(Subnet),
}

impl FromStr for Whom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::Node).or_else(|no_name: String| {
            let addresses = text.trim().parse();
            addresses.map(Self::Addresses).map_err(|no_subnet| {
                format!("neither a node nor addresses: {no_name}; {no_subnet}")
            })
        })
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => name.fmt(f),
            Self::Addresses(addresses) => addresses.fmt(f),
        }
    }
}

/// Who a name means.
pub(crate) use positron_networking::Banned as Named;

/// A node or addresses, as somebody wrote them.
pub(crate) async fn named(node: &Node, text: &str) -> Result<Banned, Refusal> {
    match text.parse().map_err(|why: String| Refusal::bad("bad_name", why))? {
        Whom::Node(name) => meant(node, &name).await.map(Banned::Node),
        Whom::Addresses(addresses) => Ok(Banned::Addresses(addresses)),
    }
}

/// A node, as somebody wrote it.
pub(crate) async fn peer(node: &Node, text: &str) -> Result<NodeId, Refusal> {
    let name = text.parse().map_err(|why: String| Refusal::bad("bad_name", why))?;
    meant(node, &name).await
}

/// Who is meant: a whole id names anybody, the beginning of one whoever this node knows: who is or
/// was connected, who is banned or has a slot, and who is in its address book.
async fn meant(node: &Node, name: &PeerName) -> Result<NodeId, Refusal> {
    if let Ok(id) = name.0.parse() {
        return Ok(id);
    }
    let stats = node.stats_now().await;
    let connected = stats.peers.into_iter().map(|peer| peer.node_id);
    let reserved = stats.reserved.into_iter().map(|peer| peer.node_id);
    let lost = node.lost_peers().await.into_iter().map(|peer| peer.node_id);
    let known = node.known_nodes().await.into_iter().map(|known| known.node_id);
    let banned = node.bans().await.into_iter().filter_map(|ban| match ban.of {
        Banned::Node(peer) => Some(peer),
        Banned::Addresses(_) => None,
    });
    let all = connected.chain(reserved).chain(lost).chain(known).chain(banned).chain([node.id()]);
    the_only(name, all.filter(|id| id.short() == name.0).collect())
}

/// The one whose id begins so; who they are, if they are several.
fn the_only(name: &PeerName, meant: BTreeSet<NodeId>) -> Result<NodeId, Refusal> {
    let mut meant = meant.into_iter();
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Refusal::unknown(
            "unknown_peer",
            format!(
                "this node knows nobody whose id begins with {name}: give all 64 characters of it"
            ),
        )),
        (Some(one), Some(other)) => {
            let all: Vec<String> = [one, other]
                .into_iter()
                .chain(meant)
                .take(MAX_NAMED)
                .map(|id| id.to_string())
                .collect();
            let all = all.join(", ");
            Err(Refusal::conflict("ambiguous", format!("several ids begin with {name}: {all}"))
                .try_this("give all 64 characters of one"))
        }
    }
}

/// Nodes that one refusal names (guess: who makes ids that begin alike, makes many of them).
const MAX_NAMED: usize = 8;

/// A ban is lifted as it was made.
pub(crate) async fn is_banned(node: &Node, whom: Banned) -> Result<(), Refusal> {
    let bans = node.bans().await;
    if bans.iter().any(|ban| ban.of == whom) {
        return Ok(());
    }
    let Banned::Addresses(addresses) = whom else {
        return Err(Refusal::conflict("not_banned", "that node is not banned"));
    };
    let covers = bans.iter().find_map(|ban| match ban.of {
        Banned::Addresses(wider) if wider.contains(addresses.parts().0) => Some(wider),
        _ => None,
    });
    let sentence = match covers {
        Some(wider) => format!("{addresses} is not banned by itself, but as part of {wider}"),
        None => format!("{addresses} is not banned"),
    };
    Err(Refusal::conflict("not_banned", sentence).try_this("see what is: GET /v1/bans"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_names_one_node_or_all_that_it_may_mean() {
        let name: PeerName = "0707070707070707".parse().unwrap();
        let of = |last: u8| {
            let mut bytes = [7; 32];
            bytes[31] = last;
            NodeId::from_bytes(bytes)
        };
        assert_eq!(the_only(&name, [of(1)].into()), Ok(of(1)));
        assert!(the_only(&name, BTreeSet::new()).is_err());
        let refused = the_only(&name, [of(1), of(2)].into()).unwrap_err();
        let said = format!("{refused:?}");
        assert!(said.contains(&of(1).to_string()) && said.contains(&of(2).to_string()), "{said}");
        let refused = the_only(&name, (0..200).map(of).collect()).unwrap_err();
        assert!(format!("{refused:?}").len() < 1_000, "an answer stays small: {refused:?}");
    }

    #[test]
    fn a_node_and_addresses_are_told_apart() {
        let id = "AB".repeat(32);
        for text in [id.as_str(), &id[..16]] {
            let whom: Whom = text.parse().unwrap();
            assert_eq!(whom, Whom::Node(PeerName(text.to_ascii_lowercase())));
        }
        let addresses = "2001:db8::/32".parse().unwrap();
        assert_eq!("2001:db8::/32".parse(), Ok(Whom::Addresses(addresses)));
        for text in ["", "bob", "203.0.113.7/24", "203.0.113.7:80", &id[..20]] {
            let error = text.parse::<Whom>().unwrap_err();
            assert!(error.starts_with("neither a node nor addresses"), "{text}: {error}");
        }
    }
}
