//! Encrypted peer-to-peer networking for blockchains.

pub mod config;

pub use config::NetworkConfig;
