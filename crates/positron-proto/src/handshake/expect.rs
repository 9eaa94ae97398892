//! What who dials knows of the other end, and who dialled.

use crate::id::NodeId;

/// Who must answer a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expect {
    /// This node and nobody else.
    Node(NodeId),
    /// Whoever is there.
    Anyone,
}

/// Who made a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We dialled.
    Outbound,
    /// The other node dialled.
    Inbound,
}

crate::metric::label! { Direction as "direction" { Outbound => "outbound", Inbound => "inbound" } }
