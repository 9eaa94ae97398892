//! Invites: what one node needs to know to join another, in one line that can be pasted.

use std::{fmt, net::SocketAddr, str::FromStr};

use positron_proto::{id::NodeId, wire::has_zone};

use crate::reach::MAX_INVITED;

const SCHEME: &str = "positron:";

/// Why a node that listens may be without an invite.
pub const NO_ADDRESS: &str = "this machine has no address of a family that the node listens on";

/// What one node needs to know to join another: who it is, where, and in which network. As text it
/// is `positron:<node id>@<address>[,<address>]?network=<name>`.
///
/// An invite is no secret and gives no right: it says whom to expect, so that nobody else can take
/// the place of its node.
///
/// ```
/// use positron_networking::Invite;
///
/// let text = format!("positron:{}@192.0.2.1:8888?network=example", "07".repeat(32));
/// let invite: Invite = text.parse().unwrap();
/// assert_eq!((invite.network.as_str(), invite.addresses.len()), ("example", 1));
/// assert_eq!(invite.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Who must answer.
    pub node: NodeId,
    /// Where, most promising first; never empty.
    pub addresses: Vec<String>,
    /// In which network.
    pub network: String,
}

/// Why a text is no invite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnInvite(String);

impl Invite {
    /// Whether a text is meant to be an invite, and not an address.
    pub fn is_meant_by(text: &str) -> bool {
        text.trim_start().starts_with(SCHEME)
    }

    /// Where to dial, and who must answer: `id@host:port` for each address.
    pub fn targets(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("{}@{address}", self.node)).collect()
    }

    /// The invite of a node that can be dialled at `addresses`, after those that its operator
    /// named, which are `configured`.
    ///
    /// `None` if there is no address to dial: [`NO_ADDRESS`], or every port is still to be chosen.
    pub fn new(
        node: NodeId,
        network: &str,
        configured: &[String],
        addresses: &[SocketAddr],
    ) -> Option<Self> {
        let mut named = configured.to_vec();
        let is_loopback = |address: &SocketAddr| address.ip().is_loopback();
        // Loopback is for who has nothing else.
        let others = addresses.iter().filter(|one| configured.is_empty() || !is_loopback(one));
        for address in others.map(ToString::to_string) {
            if !named.contains(&address) {
                named.push(address);
            }
        }
        named.truncate(MAX_INVITED);
        let network = network.to_owned();
        (!named.is_empty()).then_some(Self { node, addresses: named, network })
    }

    /// Why nobody but this machine can use it, if so. The node listens on `listen`.
    pub fn warning(&self, listen: &[SocketAddr]) -> Option<&'static str> {
        let is_loopback =
            |text: &String| text.parse().is_ok_and(|at: SocketAddr| at.ip().is_loopback());
        if !self.addresses.iter().all(is_loopback) {
            return None;
        }
        Some(match listen.iter().all(|address| address.ip().is_loopback()) {
            true => "only nodes on this machine can use the invite: the node listens on loopback",
            false => {
                "only nodes on this machine can use the invite: no other address of it is of a \
                 family that the node listens on; name one in external_addresses if there is one, \
                 or listen on both families with --host ::"
            }
        })
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = percent_encoded(&self.network);
        write!(f, "{SCHEME}{}@{}?network={network}", self.node, self.addresses.join(","))
    }
}

impl FromStr for Invite {
    type Err = NotAnInvite;

    fn from_str(text: &str) -> Result<Self, NotAnInvite> {
        let wrong = |why: &str| NotAnInvite(why.to_owned());
        let rest = text.trim().strip_prefix(SCHEME);
        let rest = rest.ok_or_else(|| wrong("an invite begins with `positron:`"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (node, addresses) =
            rest.split_once('@').ok_or_else(|| wrong("there is no `@` after the node's id"))?;
        let node = node.parse().map_err(|error| NotAnInvite(format!("'{node}': {error}")))?;
        let addresses = addresses
            .split(',')
            .map(|address| is_address(address).map(|()| address.to_owned()).map_err(NotAnInvite))
            .collect::<Result<Vec<_>, _>>()?;
        let mut network = "positron".to_owned();
        // Parameters of later versions are none of our business.
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if name == "network" {
                network =
                    percent_decoded(value).ok_or_else(|| wrong("the network's name is garbled"))?;
            }
        }
        Ok(Self { node, addresses, network })
    }
}

/// What to dial for a bootstrap address: itself, with or without who must answer, or all that an
/// invite names.
pub(crate) fn targets_of(text: &str, network: &str) -> Result<Vec<String>, String> {
    if Invite::is_meant_by(text) {
        let invite: Invite = text.parse().map_err(|error: NotAnInvite| error.to_string())?;
        if invite.network != network {
            return Err(format!(
                "the invite is for the network '{}', this node is in '{network}'",
                invite.network
            ));
        }
        return Ok(invite.targets());
    }
    let (id, host_and_port) = text.split_once('@').unwrap_or(("", text));
    let names_nobody = !text.contains('@') || id.parse::<NodeId>().is_ok();
    if names_nobody && is_address(host_and_port).is_ok() {
        return Ok(vec![text.to_owned()]);
    }
    Err("each must be host:port, such as 192.0.2.1:8888, [2001:db8::1]:8888 or \
         node.example.org:8888, with `id@` before it or not, or an invite"
        .into())
}

/// Whether `text` reads as `host:port`, where host may be a name.
pub fn is_address(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(());
    }
    let wrong = |why: &str| Err(format!("'{text}' is no address: {why}"));
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong("it has no port (host:port)");
    };
    match port.parse::<u16>() {
        Ok(0) | Err(_) => return wrong("the port is a number from 1 to 65535"),
        Ok(_) => {}
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !(host.chars().all(plain) || has_zone(host)) {
        return wrong("the host is a name, an IPv4 address or an IPv6 address in brackets");
    }
    Ok(())
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_survives_being_pasted() {
        let invite = Invite {
            node: NodeId::from_bytes([7; 32]),
            addresses: vec!["192.0.2.1:8888".into(), "[2001:db8::1]:8888".into()],
            network: "Grüne Wiese & Co".into(),
        };
        assert_eq!(format!(" {invite}\n").parse(), Ok(invite));
    }

    #[test]
    fn an_invite_names_first_what_the_operator_named_and_loopback_only_without_anything_else() {
        let id = NodeId::from_bytes([7; 32]);
        let [there, here] = ["198.51.100.7:8888", "127.0.0.1:8888"].map(|one| one.parse().unwrap());
        let addresses = |configured: &[&str], found: &[SocketAddr]| {
            let configured: Vec<String> = configured.iter().map(ToString::to_string).collect();
            Invite::new(id, "n", &configured, found).map(|invite| invite.addresses)
        };
        let named = "node.example.org:443";
        let both = [named, "198.51.100.7:8888"];
        assert_eq!(addresses(&[named], &[there]).unwrap(), both);
        assert_eq!(addresses(&both, &[there]).unwrap(), both);
        assert_eq!(addresses(&[named], &[here]).unwrap(), [named]);
        assert_eq!(addresses(&[], &[here]).unwrap(), ["127.0.0.1:8888"]);
        assert_eq!(addresses(&[], &[]), None);
    }

    #[test]
    fn an_invite_that_only_this_machine_can_use_says_so_and_why() {
        let invite = |address: SocketAddr| {
            Invite::new(NodeId::from_bytes([7; 32]), "n", &[], &[address]).unwrap()
        };
        let [any, there, here] =
            ["0.0.0.0:1", "[2001:db8::1]:1", "127.0.0.1:1"].map(|text| text.parse().unwrap());
        assert_eq!(invite(there).warning(&[any]), None);
        assert!(invite(here).warning(&[here]).unwrap().contains("listens on loopback"));
        assert!(invite(here).warning(&[any]).unwrap().contains("--host ::"));
    }

    #[test]
    fn what_is_no_invite_says_why() {
        let id = "07".repeat(32);
        for (text, why) in [
            ("http://example.org", "begins with"),
            ("positron:abc", "no `@`"),
            ("positron:abc@1.2.3.4:5", "64 hexadecimal"),
            (&format!("positron:{id}@1.2.3.4"), "no port"),
            (&format!("positron:{id}@1.2.3.4:0"), "1 to 65535"),
            (&format!("positron:{id}@:5"), "the host is"),
            (&format!("positron:{id}@h:5?network=%zz"), "garbled"),
        ] {
            let error = text.parse::<Invite>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
