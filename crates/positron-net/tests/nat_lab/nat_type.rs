//! The kinds of router that stand between a home and the internet, as RFC 4787 tells them apart.

use std::fmt::{self, Display};

/// What a home has in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NatType {
    /// Nothing: a public address, routed.
    Open,
    /// A stateful firewall and a public address, which is what homes have in IPv6.
    Firewall,
    /// A translator that lets in everybody: a "full cone" (RFC 3489, 5).
    Full,
    /// A translator that lets in addresses which its inside sent to.
    Address,
    /// A translator that lets in whom its inside sent to, and gives every port another number.
    Port,
    /// The ordinary router: as [`Port`](Self::Port), but a port keeps its number if it is free.
    Linux,
    /// As [`Linux`](Self::Linux), on a router that answers strangers itself: for one whose packet
    /// came before the inside has sent to it, the port is not free any more.
    Clash,
    /// [`Linux`](Self::Linux) behind a second translator, that of the carrier.
    CarrierGrade,
    /// Another port for every destination.
    Symmetric,
    /// TCP gets out, and no datagram.
    Blocked,
}

/// For whom a socket behind a translator has the same address (RFC 4787, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// For everybody.
    EndpointIndependent,
    /// For the ports of one address.
    AddressDependent,
    /// For nobody else.
    AddressAndPortDependent,
}

/// Who gets in to a socket that has sent to somebody (RFC 4787, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Every port of the address that was sent to.
    AddressDependent,
    /// The port that was sent to.
    AddressAndPortDependent,
}

impl NatType {
    pub(crate) const ALL: [Self; 10] = [
        Self::Open,
        Self::Firewall,
        Self::Full,
        Self::Address,
        Self::Port,
        Self::Linux,
        Self::Clash,
        Self::CarrierGrade,
        Self::Symmetric,
        Self::Blocked,
    ];

    /// Those that datagrams pass.
    pub(crate) fn with_udp() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|nat| *nat != Self::Blocked)
    }

    /// Its short name, in namespaces and on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Firewall => "fw",
            Self::Full => "full",
            Self::Address => "addr",
            Self::Port => "port",
            Self::Linux => "linux",
            Self::Clash => "clash",
            Self::CarrierGrade => "cgn",
            Self::Symmetric => "sym",
            Self::Blocked => "blocked",
        }
    }

    /// Whether the inside has an address of the internet.
    pub(crate) fn is_routed(self) -> bool {
        matches!(self, Self::Open | Self::Firewall)
    }

    pub(crate) fn mapping(self) -> Mapping {
        match self {
            Self::Symmetric => Mapping::AddressAndPortDependent,
            _ => Mapping::EndpointIndependent,
        }
    }

    pub(crate) fn filtering(self) -> Filtering {
        match self {
            Self::Open | Self::Full => Filtering::EndpointIndependent,
            Self::Address => Filtering::AddressDependent,
            _ => Filtering::AddressAndPortDependent,
        }
    }

    /// Whether a port has the same number outside.
    pub(crate) fn keeps_ports(self) -> bool {
        matches!(self, Self::Open | Self::Firewall | Self::Linux | Self::Clash)
    }

    /// Whether two such homes can send to each other what they have sent to one another first: each
    /// has to be where others saw it, for whoever lets in no other port.
    pub(crate) fn punches_with(self, other: Self) -> bool {
        let finds = |from: Self, to: Self| {
            from.mapping() == Mapping::EndpointIndependent
                || to.filtering() != Filtering::AddressAndPortDependent
        };
        ![self, other].contains(&Self::Blocked) && finds(self, other) && finds(other, self)
    }

    /// Whether one of two such homes finds the other by guessing: the port of one varies, and the
    /// other one asks for it.
    pub(crate) fn searches_with(self, other: Self) -> bool {
        let asks = |nat: Self| nat.filtering() == Filtering::AddressAndPortDependent;
        let varies = |nat: Self| nat.mapping() != Mapping::EndpointIndependent;
        let is_hard = |one, other| varies(one) && asks(other) && !varies(other);
        ![self, other].contains(&Self::Blocked) && (is_hard(self, other) || is_hard(other, self))
    }

    /// With how many hops to live a packet passes every router of such a home and dies on the
    /// internet.
    pub(crate) fn opener_ttl(self) -> u32 {
        if self == Self::CarrierGrade { 3 } else { 2 }
    }

    /// What the carrier has in front of the router, if anything.
    pub(crate) fn carrier(self) -> Option<Self> {
        (self == Self::CarrierGrade).then_some(Self::Port)
    }

    /// The packet filter of the router at home, between its interfaces `lan` and `wan`, as `nft`
    /// reads it.
    pub(crate) fn rules(self) -> String {
        let chains = match self {
            Self::Open => vec![],
            Self::Firewall => vec![forward(r#"iifname "wan" ct state new drop"#)],
            Self::Full => remembering("inet_service", "udp sport", "udp dport"),
            Self::Address => remembering(
                "ipv4_addr . inet_service",
                "ip daddr . udp sport",
                "ip saddr . udp dport",
            ),
            Self::Port => vec![translate(RENUMBERED), DEAF.into()],
            Self::Linux | Self::CarrierGrade => vec![translate(""), DEAF.into()],
            Self::Clash => vec![translate("")],
            Self::Symmetric => vec![translate(RANDOM), DEAF.into()],
            Self::Blocked => {
                vec![translate(""), DEAF.into(), forward("meta l4proto udp drop")]
            }
        };
        format!("table ip home {{\n{}\n}}\n", chains.join("\n"))
    }
}

impl Display for NatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is not for the inside is not for the router either, and leaves no trace in it.
const DEAF: &str = r#"chain own {
    type filter hook input priority filter
    iifname "wan" ct state new drop
}"#;

/// Without `random`, the first flow of a port gets one of these, and every other flow of the port
/// the same: that is how Linux makes a mapping that is endpoint-independent.
const RENUMBERED: &str = r#"oifname "wan" meta l4proto udp masquerade to :20000-29999"#;

/// Any port, for each flow another.
const RANDOM: &str = r#"oifname "wan" meta l4proto udp masquerade fully-random"#;

fn forward(rules: &str) -> String {
    format!("chain through {{\n type filter hook forward priority filter\n {rules}\n}}")
}

/// Source addresses become that of the router: as `rules` say, otherwise with the ports kept.
fn translate(rules: &str) -> String {
    format!(
        r#"chain translate {{
    type nat hook postrouting priority srcnat
    {rules}
    oifname "wan" masquerade
}}"#
    )
}

/// What leaves is written down under `leaving`, of the type `key`, with whom it is from; a stranger
/// is led to whom `coming` says.
fn remembering(key: &str, leaving: &str, coming: &str) -> Vec<String> {
    let holes = format!(
        r#"map holes {{
    type {key} : ipv4_addr . inet_service
    flags dynamic,timeout
    timeout 2m
    size 65535
}}
chain learn {{
    type filter hook postrouting priority srcnat + 10
    oifname "wan" meta l4proto udp update @holes \
        {{ {leaving} : ct original ip saddr . ct original proto-src }}
}}
chain admit {{
    type nat hook prerouting priority dstnat
    iifname "wan" meta l4proto udp dnat ip to {coming} map @holes
}}"#
    );
    vec![holes, translate(RENUMBERED), DEAF.into()]
}
