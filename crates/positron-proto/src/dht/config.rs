//! How a node takes part in the hash table.

/// How a node takes part in the hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DhtConfig {
    /// Whether it answers others and keeps records for them.
    pub serve: Serve,
}

/// Whether a node answers others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serve {
    /// When strangers reach it by datagrams, and it has been up for long enough.
    #[default]
    Auto,
    /// Never: it only asks.
    Never,
}
