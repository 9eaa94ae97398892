//! A connection that is being made.

use std::sync::Arc;

use tokio::sync::watch;

use super::{ConnectError, channel::Channel, wait::until};

/// What a dial leads to.
#[derive(Debug)]
pub enum Attempt<C> {
    /// A connection of its own; messages may wait in it for the handshake.
    Pending(Arc<C>),
    /// There is no connection before the handshake says with whom; others may wait for the same.
    Handshake(watch::Receiver<Outcome<C>>),
}

/// What came of a handshake, once it is known.
pub(super) type Outcome<C> = Option<Result<Arc<C>, ConnectError>>;

impl<C: Channel> Attempt<C> {
    /// The connection that messages may wait in.
    pub(super) const fn pending(&self) -> Option<&Arc<C>> {
        match self {
            Self::Pending(channel) => Some(channel),
            Self::Handshake(_) => None,
        }
    }

    /// Waits for the end of the handshake.
    pub(super) async fn established(&mut self) -> Result<Arc<C>, ConnectError> {
        match self {
            Self::Pending(channel) => {
                until(&channel.changed, || match channel.closed() {
                    Some(why) => Some(Err(why.clone().into())),
                    None => channel.peer().is_some().then(|| Ok(channel.clone())),
                })
                .await
            }
            Self::Handshake(outcome) => {
                let known = outcome.wait_for(Option::is_some).await;
                let outcome = known.ok().and_then(|outcome| outcome.clone());
                outcome.unwrap_or(Err(ConnectError::TransportClosed))
            }
        }
    }
}
