//! What an operator wants of the running node's peers: how it is written, and how it is obeyed.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use positron_networking::{Banned, Node, NodeId, Subnet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is to be done about a peer, or about addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum PeerRequest {
    /// Refuse it.
    Ban {
        /// A [`Whom`].
        whom: String,
        /// For how long.
        seconds: u64,
        /// Why.
        reason: String,
    },
    /// Refuse it no more.
    Unban {
        /// A [`Whom`].
        whom: String,
    },
    /// End its session.
    Disconnect {
        /// A [`PeerName`].
        peer: String,
    },
    /// Keep a slot for it.
    Reserve {
        /// A [`PeerName`].
        peer: String,
        /// Where it is.
        at: Option<SocketAddr>,
    },
    /// Keep none.
    Unreserve {
        /// A [`PeerName`].
        peer: String,
    },
}

/// A node by its id, or by the first 16 characters of it, which is what people are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerName(String);

impl FromStr for PeerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let reads = matches!(text.len(), 16 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit());
        if reads {
            Ok(Self(text))
        } else {
            Err("the id of a node has 64 hexadecimal characters; the first 16 do for one that is \
                 connected or banned"
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
pub(crate) enum Whom {
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

/// A time as people write it: `90s`, `30m`, `2h`, `7d`, `4w`.
pub(crate) fn lasting(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number and s, m, h, d or w, such as 90s, 2h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|n| is_number && *n > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Has the node obey: for whom it was meant, or in words why not.
pub(crate) async fn obey(node: &Node, request: PeerRequest) -> Result<Value, String> {
    let whom = match &request {
        PeerRequest::Ban { whom, .. } | PeerRequest::Unban { whom } => {
            match whom.parse::<Whom>()? {
                Whom::Node(name) => Banned::Node(named(node, &name).await?),
                Whom::Addresses(addresses) => Banned::Addresses(addresses),
            }
        }
        PeerRequest::Disconnect { peer }
        | PeerRequest::Reserve { peer, .. }
        | PeerRequest::Unreserve { peer } => Banned::Node(named(node, &peer.parse()?).await?),
    };
    let obeyed = match (request, whom) {
        (PeerRequest::Ban { seconds, reason, .. }, Banned::Node(peer)) => {
            node.ban(peer, &reason, Duration::from_secs(seconds)).await
        }
        (PeerRequest::Ban { seconds, reason, .. }, Banned::Addresses(addresses)) => {
            node.ban_address(addresses, &reason, Duration::from_secs(seconds)).await
        }
        (PeerRequest::Unban { .. }, whom) => {
            is_banned(node, whom).await?;
            match whom {
                Banned::Node(peer) => node.unban(peer).await,
                Banned::Addresses(addresses) => node.unban_address(addresses).await,
            }
        }
        (PeerRequest::Disconnect { .. }, Banned::Node(peer)) => node.disconnect(peer).await,
        (PeerRequest::Reserve { at, .. }, Banned::Node(peer)) => node.reserve(peer, at).await,
        (PeerRequest::Unreserve { .. }, Banned::Node(peer)) => node.unreserve(peer).await,
        (_, Banned::Addresses(_)) => return Err("only a ban is about addresses".into()),
    };
    obeyed.map_err(|error| error.to_string())?;
    Ok(match whom {
        Banned::Node(peer) => json!({ "node_id": peer }),
        Banned::Addresses(addresses) => json!({ "addresses": addresses }),
    })
}

/// Who is meant: a whole id names anybody, the beginning of one whoever is connected or banned.
async fn named(node: &Node, name: &PeerName) -> Result<NodeId, String> {
    if let Ok(id) = name.0.parse() {
        return Ok(id);
    }
    let connected = node.stats_now().await.peers.into_iter().map(|peer| peer.node_id);
    let banned = node.bans().await.into_iter().filter_map(|ban| match ban.of {
        Banned::Node(peer) => Some(peer),
        Banned::Addresses(_) => None,
    });
    let all = connected.chain(banned).chain([node.id()]);
    let mut meant: Vec<NodeId> = all.filter(|id| id.short() == name.0).collect();
    meant.sort();
    meant.dedup();
    match meant[..] {
        [one] => Ok(one),
        [] => Err(format!(
            "no node that is connected or banned has an id that begins with {name}: give all 64 \
             characters of it"
        )),
        _ => Err(format!("more than one node has an id that begins with {name}")),
    }
}

/// A ban is lifted as it was made.
async fn is_banned(node: &Node, whom: Banned) -> Result<(), String> {
    let bans = node.bans().await;
    if bans.iter().any(|ban| ban.of == whom) {
        return Ok(());
    }
    let Banned::Addresses(addresses) = whom else {
        return Err("that node is not banned".into());
    };
    let covers = bans.iter().find_map(|ban| match ban.of {
        Banned::Addresses(wider) if wider.contains(addresses.parts().0) => Some(wider),
        _ => None,
    });
    Err(match covers {
        Some(wider) => format!("{addresses} is not banned by itself, but as part of {wider}"),
        None => format!("{addresses} is not banned"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_people_write_it_and_nothing_else_does() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(lasting(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "2", "h", "-2h", "+2h", "0s", "1.5h", "2 h", "2H", "99999999999999999999d", "2€"]
        {
            assert!(lasting(text).unwrap_err().contains("such as 90s, 2h or 7d"), "{text}");
        }
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
