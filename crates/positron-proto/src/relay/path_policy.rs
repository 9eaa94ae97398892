//! Which paths a node takes.

/// Which paths to other nodes a node takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathPolicy {
    /// Whichever there are; direct ones are better.
    #[default]
    Any,
    /// None through a relay, whoever begins: it is not searched for direct paths through the
    /// translators of two homes either, because that is agreed on over a relay.
    DirectOnly,
    /// To nodes that the operator names, who see its address, directly, and to all others through
    /// those: it tells nobody where it is and dials nobody else.
    RelayOnly,
}
