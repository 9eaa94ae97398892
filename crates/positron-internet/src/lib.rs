//! A made-up internet from a seed: datagrams and byte streams between hosts, on virtual time.
//!
//! It does no input or output, reads no clock and draws from its own dice: the same seed and the
//! same calls give the same deliveries. Time is how long it is since the beginning ([`Time`]).
//!
//! - *Datagrams* ([`PathLaws`], a set for each direction between two hosts): delay, jitter, loss
//!   (single and in bursts), copies, reordering, a rate behind a bounded queue, an MTU, damage,
//!   hops.
//! - *Byte streams* ([`StreamLaws`]): connecting takes a round trip and is repeated; a lost packet
//!   is a stall of everything behind it; two kernel buffers, and back-pressure when they are full.
//! - *Who reaches whom* ([`Topology`]): partitions, cuts of one direction, black holes at a host
//!   ([`Traffic`]) or by size (the MTU), addresses that change.
//! - *Uplinks*: boxes before a host ([`Middlebox`]) that filter, translate addresses, and count
//!   hops: [`Firewall`], [`Translator`], and homes of ten types ([`NatType`]) made of them.
//! - *Hosts* ([`Kernel`]): processes that start, end, stop reading; machines that lose power.
//!
//! What is kept is bounded by what its user sends: a chunk that nobody reads by the kernel buffer,
//! a datagram that nobody reads likewise, flows of a firewall by a number of its own.
//!
//! Not modelled: routes and shared lines (each pair of hosts has its own line), congestion control
//! and acknowledgments of streams (a stream is as fast as its rate), fragmentation, ICMP, boxes
//! before streams that stand (they see the question for a stream only), and one box before several
//! hosts: nobody has a neighbour at home.
//!
//! An [`Internet`] is a handful of hosts driven by one caller. A world of many hosts has a
//! [`Kernel`] in each of them and a [`Topology`] for all, and may run them on several threads.
//!
//! ```
//! use positron_internet::{DEFAULT_TTL, Event, Internet, PathLaws, StreamLaws, Time};
//!
//! let ms = Time::from_millis;
//! let laws = PathLaws { mtu: 1_500, ..PathLaws::calm(ms(10)) };
//! let mut internet = Internet::new(7, laws, StreamLaws::CALM);
//! let [a, b] = ["10.0.0.1:8888", "10.0.0.2:8888"].map(|addr| addr.parse().unwrap());
//! let [alice, bob] = [a, b].map(|addr| internet.add_host(addr));
//!
//! internet.send(ms(0), a, b, b"hello".to_vec(), DEFAULT_TTL).unwrap();
//! assert_eq!(internet.next_event_time(), Some(ms(10)));
//! let heard = internet.poll(ms(10)).unwrap();
//! assert_eq!(heard.host, bob);
//! assert_eq!(heard.event, Event::Datagram { from: a, to: b, payload: b"hello".to_vec() });
//!
//! internet.part([alice]);
//! assert!(internet.send(ms(20), a, b, b"anybody?".to_vec(), DEFAULT_TTL).is_err());
//! ```

mod context;
mod dice;
mod event;
mod internet;
mod kernel;
mod laws;
mod middlebox;
mod nat;
mod path;
mod payload;
mod queue;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod time;
mod topology;
mod uplink;

pub use dice::{Dice, mix};
pub use event::{Closed, Event, Hangup, StreamId};
pub use internet::{DEFAULT_TTL, Delivery, Internet};
pub use kernel::Kernel;
pub use laws::{Bursts, PathLaws, Range, StreamLaws};
pub use middlebox::{Header, Middlebox, Protocol, Verdict};
pub use nat::{
    FLOW_TIMEOUT, Filtering, Firewall, INSIDE, MAX_FLOWS, Mapping, NatBehavior, NatType,
    PortAssignment, StreamsOnly, Translator, UnknownNatType, Unsolicited,
};
pub use path::{Damage, Loss};
pub use payload::Payload;
pub use queue::{Arrival, StreamEnd};
pub use time::Time;
pub use topology::{HostId, Topology, Traffic};
