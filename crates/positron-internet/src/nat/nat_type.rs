//! The ten NAT types.

use core::{fmt, str::FromStr};
use std::net::{IpAddr, Ipv4Addr};

use crate::{
    dice::Dice,
    middlebox::Middlebox,
    nat::{
        firewall::{Firewall, StreamsOnly},
        flows::FLOW_TIMEOUT,
        translator::{Filtering, Mapping, NatBehavior, PortAssignment, Translator, Unsolicited},
    },
};

/// What is between a home and the internet.
///
/// Each prints as one word, and is parsed from it.
///
/// ```
/// use positron_internet::NatType;
///
/// assert_eq!(NatType::CarrierGrade.to_string(), "cgn");
/// assert_eq!("sym".parse(), Ok(NatType::Symmetric));
/// assert!("tunnel".parse::<NatType>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NatType {
    /// Nothing: a public address.
    Open,
    /// A public address behind a stateful firewall: what homes with IPv6 have.
    Firewall,
    /// A NAT that lets in everybody ("full cone").
    FullCone,
    /// A NAT that lets in those to whose IP address something went out.
    AddressRestricted,
    /// A NAT that lets in those to whose address and port something went out.
    PortRestricted,
    /// The same on an ordinary Linux router: ports stay as they are inside.
    Linux,
    /// The same on a router that [tracks](Unsolicited::Tracked) unsolicited datagrams.
    Clash,
    /// [`Linux`](Self::Linux) behind a carrier's [`PortRestricted`](Self::PortRestricted).
    CarrierGrade,
    /// A NAT that shows another port to each address and port that something goes to.
    Symmetric,
    /// No datagrams at all; streams go out.
    Blocked,
}

impl NatType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Firewall,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Linux,
        Self::Clash,
        Self::CarrierGrade,
        Self::Symmetric,
        Self::Blocked,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Firewall => "fw",
            Self::FullCone => "full",
            Self::AddressRestricted => "addr",
            Self::PortRestricted => "port",
            Self::Linux => "linux",
            Self::Clash => "clash",
            Self::CarrierGrade => "cgn",
            Self::Symmetric => "sym",
            Self::Blocked => "blocked",
        }
    }

    /// How the innermost of its translators works; `None` if it leaves addresses as they are.
    pub const fn behavior(self) -> Option<NatBehavior> {
        use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        use PortAssignment::{Other, Preserving, Random};
        use Unsolicited::{Dropped, Tracked};
        let (ports, filtering, unsolicited) = match self {
            Self::Open | Self::Firewall | Self::Blocked => return None,
            Self::FullCone => (Other, EndpointIndependent, Dropped),
            Self::AddressRestricted => (Other, AddressDependent, Dropped),
            Self::PortRestricted => (Other, AddressAndPortDependent, Dropped),
            Self::Linux | Self::CarrierGrade => (Preserving, AddressAndPortDependent, Dropped),
            Self::Clash => (Preserving, AddressAndPortDependent, Tracked),
            Self::Symmetric => (Random, AddressAndPortDependent, Dropped),
        };
        Some(NatBehavior { ports, filtering, unsolicited })
    }

    /// How its mapping looks from the internet; `None` if there is none.
    pub fn mapping(self) -> Option<Mapping> {
        self.behavior().map(|behavior| behavior.ports.mapping())
    }

    /// The boxes of a home that the internet knows as `outside`, the innermost first. They draw
    /// ports from a stream of `seed`.
    ///
    /// If it has a [`behavior`](Self::behavior), the host behind them has an address of its own,
    /// such as [`INSIDE`], of the family of `outside`.
    pub fn boxes(self, outside: IpAddr, seed: u64) -> Vec<Box<dyn Middlebox>> {
        let dice = |nth| Dice::keyed(seed ^ PORTS, nth);
        let translator = |of: Self, at, dice| {
            let behavior = of.behavior()?;
            Some(Box::new(Translator::new(at, behavior, dice)) as Box<dyn Middlebox>)
        };
        match self {
            Self::Open => Vec::new(),
            Self::Firewall => vec![Box::new(Firewall::new(FLOW_TIMEOUT))],
            Self::Blocked => vec![Box::new(StreamsOnly)],
            Self::CarrierGrade => {
                let home = translator(Self::Linux, CARRIER.into(), dice(0));
                let carrier = translator(Self::PortRestricted, outside, dice(1));
                home.into_iter().chain(carrier).collect()
            }
            one => translator(one, outside, dice(0)).into_iter().collect(),
        }
    }
}

impl fmt::Display for NatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// No NAT type has this word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownNatType;

impl fmt::Display for UnknownNatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no NAT type has this word: it is one of")?;
        NatType::ALL.iter().try_for_each(|nat_type| write!(f, " {nat_type}"))
    }
}

impl core::error::Error for UnknownNatType {}

impl FromStr for NatType {
    type Err = UnknownNatType;

    fn from_str(word: &str) -> Result<Self, UnknownNatType> {
        Self::ALL.into_iter().find(|nat_type| nat_type.word() == word).ok_or(UnknownNatType)
    }
}

/// The address of every host behind a translator, as that of the first host of many homes.
pub const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);

/// The address of every home behind a carrier's translator (RFC 6598: shared address space).
const CARRIER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);

/// The family of dice for ports: any number.
const PORTS: u64 = 0x706F_7274_7300_0003;
