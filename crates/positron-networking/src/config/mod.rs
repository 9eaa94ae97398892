//! What a node is told: its keys, what they may be, and where they go.

mod check;
mod error;
mod external;
mod log_format;
mod network;
mod read;
mod reserved;
mod spelling;
mod transport;

pub(crate) use check::Checked;
pub use error::ConfigError;
pub use log_format::LogFormat;
pub use network::NetworkConfig;
pub use transport::{TransportPolicy, UnknownTransport};
