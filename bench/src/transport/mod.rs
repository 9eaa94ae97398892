//! Connections, beside QUIC and TCP.

mod connection_kind;
mod ends;
mod flow;
mod handshakes;
mod idle;
mod iroh;
mod measurement;
mod options;
mod pair;
mod ping_pong;
mod plain;
mod positron;
mod quinn;
mod rounds;
mod tls;
mod work_report;
mod worker;

pub(crate) use options::TransportOptions;
pub(crate) use rounds::measure_all;
pub(crate) use worker::run;
