//! What is known of one connection outside of the machine, whatever carries it.

use std::{fmt::Debug, net::SocketAddr, ops::Deref};

use positron_proto::datagram::contract::Closed;

use super::close_state::CloseState;

/// One connection, as long as somebody holds it. What happens to it is noted under the lock of the
/// machine.
pub trait Channel: Deref<Target = CloseState> + Debug + Send + Sync + 'static {
    /// Its number among those that other nodes made, the later the higher; `None` for one that this
    /// end made.
    fn accept_order(&self) -> Option<u64>;

    /// Where the other end is now.
    fn address(&self) -> SocketAddr;

    /// Whether the other end has proven who it is.
    fn is_established(&self) -> bool {
        true
    }

    /// Whether it is being closed, and has to be over before there is another one with its node.
    fn is_closing(&self) -> bool {
        false
    }

    /// It is over; the first reason stays.
    fn close(&self, why: Closed) {
        self.end(why);
    }
}
