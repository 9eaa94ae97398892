//! What is known of one connection outside of the machine, whatever carries it.

use std::{fmt::Debug, net::SocketAddr, ops::Deref};

use positron_proto::{datagram::contract::Closed, id::NodeId};

use super::channel_state::ChannelState;

/// One connection, as long as somebody holds it. What happens to it is noted under the lock of the
/// machine.
pub trait Channel: Deref<Target = ChannelState> + Debug + Send + Sync + 'static {
    /// Its number among those that other nodes made, the later the higher; `None` for one that this
    /// end made.
    fn accept_order(&self) -> Option<u64>;

    /// Where the other end is now.
    fn address(&self) -> SocketAddr;

    /// Who is at the other end, once that is proven.
    fn peer(&self) -> Option<NodeId>;

    /// Whether it is being closed, and has to be over before there is another one with its node.
    fn is_closing(&self) -> bool {
        false
    }

    /// It is over; the first reason stays.
    fn close(&self, why: Closed) {
        self.end(why);
    }
}
