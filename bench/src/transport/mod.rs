//! Connections, beside QUIC and TCP.

mod contender;
mod ends;
mod flow;
mod handshakes;
mod idle;
mod iroh;
mod options;
mod ping_pong;
mod plain;
mod plan;
mod positron;
mod quinn;
mod report;
mod rounds;
mod stack;
mod tls;
mod worker;

pub(crate) use options::TransportOptions;
pub(crate) use rounds::measure_all;
pub(crate) use worker::run;
