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

/// What is between a home and the internet. Each prints as one word, and is parsed from it.
///
/// | word | mapping | filtering | port |
/// | --- | --- | --- | --- |
/// | `open` | none | none | |
/// | `fw` | none | address and port | |
/// | `full` | endpoint-independent | endpoint-independent | never the inner one |
/// | `addr` | endpoint-independent | address | never the inner one |
/// | `port` | endpoint-independent | address and port | never the inner one |
/// | `linux` | endpoint-independent | address and port | the inner one, if free |
/// | `clash` | endpoint-independent | address and port | the inner one, if free |
/// | `cgn` | endpoint-independent | address and port | `linux` behind `port` |
/// | `sym` | address and port | address and port | any |
/// | `blocked` | no datagrams | no datagrams | |
///
/// *Mapping* and *filtering* are those of RFC 4787, 4.1 and 5. Each translator and firewall forgets
/// a flow 30 s after the last packet from inside ([`FLOW_TIMEOUT`]): packets from outside do not
/// refresh it, and an answer does not make it last longer, though on Linux it would. It remembers
/// [`MAX_FLOWS`](crate::MAX_FLOWS). Streams go out through all of them. They come in through `open`
/// only, or at a port that a router [forwards](crate::Kernel::forward_port).
///
/// A home is one host: two behind one box, which could meet inside, are not modelled. So a
/// hairpin is what a host sends to itself.
///
/// ```
/// use positron_internet::{DEFAULT_TTL, Event, Internet, NatType, PathLaws, StreamLaws, Time};
///
/// let ms = Time::from_millis;
/// let mut internet = Internet::new(7, PathLaws::calm(ms(10)), StreamLaws::CALM);
/// let addresses = ["198.51.100.1:8888", "203.0.113.1:8888"];
/// let [home, public] = addresses.map(|addr| addr.parse().unwrap());
/// let [host, _] = [home, public].map(|addr| internet.add_host(addr));
/// internet.kernel_mut(host).put_behind(NatType::Linux, 7);
///
/// internet.send(ms(0), public, home, b"anybody?".to_vec(), DEFAULT_TTL).unwrap();
/// assert_eq!(internet.poll(ms(100)), None);
/// internet.send_from(ms(100), host, 8888, public, b"hello".to_vec(), DEFAULT_TTL).unwrap();
/// let heard = internet.poll(ms(200)).unwrap();
/// assert!(matches!(heard.event, Event::Datagram { from, .. } if from == home));
/// internet.send(ms(200), public, home, b"welcome".to_vec(), DEFAULT_TTL).unwrap();
/// assert_eq!(internet.poll(ms(300)).unwrap().host, host);
/// ```
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
