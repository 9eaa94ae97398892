//! Connections over datagrams: our own reliable, encrypted transport over UDP `[PROTOCOL 9]`.
//!
//! A *connection* is one encrypted conversation between two endpoints. It carries messages in
//! independent lanes and streams of bytes.
//!
//! ```text
//!                    ┌──────────┐  connect / send SYN
//!                    │  CLOSED  │───────────────────────┐
//!                    └──────────┘                       ▼
//!        SYN / send SYN_ACK  │                    ┌───────────┐
//!                            ▼                    │ SYN_SENT  │
//!                   ┌──────────────┐              └───────────┘
//!                   │ SYN_RECEIVED │                    │ SYN_ACK opens / send ACK (XX) or the
//!                   └──────────────┘                    │ first sealed packet (IK)
//!        first sealed packet │                          ▼
//!        opens               └─────────────────▸┌─────────────┐
//!                           close / send FIN    │ ESTABLISHED │  FIN / send FIN_ACK
//!                   ┌───────────────────────────┴─────────────┴───────────────────┐
//!                   ▼                                                             ▼
//!             ┌────────────┐  FIN / send FIN_ACK   ┌─────────┐             ┌────────────┐
//!             │ FIN_WAIT_1 │──────────────────────▸│ CLOSING │             │ CLOSE_WAIT │
//!             └────────────┘                       └─────────┘             └────────────┘
//!         FIN_ACK   │                    FIN_ACK        │       close / send FIN   │
//!                   ▼                                   ▼                          ▼
//!             ┌────────────┐  FIN / send FIN_ACK  ┌───────────┐             ┌──────────┐
//!             │ FIN_WAIT_2 │─────────────────────▸│ TIME_WAIT │             │ LAST_ACK │
//!             └────────────┘                      └───────────┘             └──────────┘
//!                                            after 3 PTO │         FIN_ACK        │
//!                                                        └──────▸  CLOSED  ◂──────┘
//! ```
//!
//! From every state a sealed RST, silence, or a violation leads to CLOSED at once. An unsealed RST
//! only provokes a sealed PING.

mod ack_tracker;
mod batching;
mod bindings;
mod client_handshake;
mod congestion;
mod connection;
pub mod contract;
mod cookie;
mod counters;
mod demux;
mod endpoint;
mod extra_socket;
pub mod flow;
mod half_open;
mod incoming;
mod memory_budget;
mod mtu;
mod outgoing;
mod pacer;
mod path_validation;
mod per_second;
mod protection;
mod query;
mod ranges;
mod received_datagram;
mod recovery;
mod replay;
mod rtt;
mod sent_frames;
mod state;
mod streams;
mod transmit_queue;
mod window;

pub use endpoint::Endpoint;
pub use protection::Tuning;

#[cfg(test)]
mod tests;
