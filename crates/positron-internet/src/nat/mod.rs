//! The ten NAT types, and the boxes that they are made of.
//!
//! | word | mapping | filtering | port |
//! | --- | --- | --- | --- |
//! | `open` | none | none | |
//! | `fw` | none | address and port | |
//! | `full` | endpoint-independent | endpoint-independent | never the inner one |
//! | `addr` | endpoint-independent | address | never the inner one |
//! | `port` | endpoint-independent | address and port | never the inner one |
//! | `linux` | endpoint-independent | address and port | the inner one, if free |
//! | `clash` | endpoint-independent | address and port | the inner one, if free |
//! | `cgn` | endpoint-independent | address and port | `linux` behind `port` |
//! | `sym` | address and port | address and port | any |
//! | `blocked` | no datagrams | no datagrams | |
//!
//! *Mapping* and *filtering* are those of RFC 4787, 4.1 and 5. Each translator and firewall forgets
//! a flow 30 s after the last packet from inside ([`FLOW_TIMEOUT`]); packets from outside do not
//! refresh it, and an answer makes it last no longer, as it would on Linux. It remembers
//! [`MAX_FLOWS`]. Streams go out through all of them and come in through `open` only, or at a port
//! that a router [forwards](crate::Kernel::forward_port).
//!
//! A home is one host: two behind one box, which could meet inside, are not modelled. So a
//! hairpin is what a host sends to itself.
//!
//! ```
//! use positron_internet::{DEFAULT_TTL, Event, Internet, NatType, PathLaws, StreamLaws, Time};
//!
//! let ms = Time::from_millis;
//! let mut internet = Internet::new(7, PathLaws::calm(ms(10)), StreamLaws::CALM);
//! let addresses = ["198.51.100.1:8888", "203.0.113.1:8888"];
//! let [home, public] = addresses.map(|addr| addr.parse().unwrap());
//! let [host, _] = [home, public].map(|addr| internet.add_host(addr));
//! internet.kernel_mut(host).put_behind(NatType::Linux, 7);
//!
//! internet.send(ms(0), public, home, b"anybody?".to_vec(), DEFAULT_TTL).unwrap();
//! assert_eq!(internet.poll(ms(100)), None);
//! internet.send_from(ms(100), host, 8888, public, b"hello".to_vec(), DEFAULT_TTL).unwrap();
//! let heard = internet.poll(ms(200)).unwrap();
//! assert!(matches!(heard.event, Event::Datagram { from, .. } if from == home));
//! internet.send(ms(200), public, home, b"welcome".to_vec(), DEFAULT_TTL).unwrap();
//! assert_eq!(internet.poll(ms(300)).unwrap().host, host);
//! ```

mod firewall;
mod flows;
mod nat_type;
#[cfg(test)]
mod punching_tests;
#[cfg(test)]
mod tests;
mod translator;

pub use firewall::{Firewall, StreamsOnly};
pub use flows::{FLOW_TIMEOUT, MAX_FLOWS};
pub use nat_type::{INSIDE, NatType, UnknownNatType};
pub use translator::{Filtering, Mapping, NatBehavior, PortAssignment, Translator, Unsolicited};
