//! Asking one node, for as long as somebody waits for the answer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use positron_proto::{
    id::{NodeId, Ticket},
    node::{Command, Input, Outcome},
};
use tokio::sync::oneshot;

use crate::{
    RequestError, Unanswered,
    driver::{Arrivals, CoreInput, Order, Reply},
    orders::Orders,
};

/// Asks, and waits for the answer. When it is dropped, nobody wants it any more.
pub(crate) async fn ask(
    orders: &Orders,
    arrivals: &Arrivals,
    to: NodeId,
    payload: Bytes,
    timeout: Duration,
) -> Result<Bytes, RequestError> {
    let (reply, end) = oneshot::channel();
    let ticket = Arc::new(OnceLock::new());
    let mut waiting = Waiting { ticket: ticket.clone(), end, arrivals: arrivals.clone() };
    let command = Command::Ask { to, payload, timeout };
    let order = Order::Ask { command, reply, ticket };
    orders.send(order).await.map_err(|_| RequestError::Stopped)?;
    match (&mut waiting.end).await.map_err(|_| RequestError::Stopped)?? {
        Outcome::Answered(answer) => Ok(answer),
        Outcome::Unanswered(Unanswered::Stopped) => Err(RequestError::Stopped),
        Outcome::Unanswered(why) => Err(RequestError::Unanswered(why)),
        _ => Err(RequestError::Stopped),
    }
}

/// Who waits for an answer.
struct Waiting {
    /// The request's, once the core has taken it.
    ticket: Arc<OnceLock<Ticket>>,
    end: oneshot::Receiver<Reply>,
    arrivals: Arrivals,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A core that takes the request from here on sees that nobody waits.
        self.end.close();
        if let Some(ticket) = self.ticket.get() {
            // One that has answered it already does not mind.
            let _ = self.arrivals.send(CoreInput::Input(Input::Unwanted { ticket: *ticket }));
        }
    }
}
