//! What the application is asked about others: their requests, and which broadcasts are valid.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use positron_proto::{gossip::ValidationId, id::NodeId, node::Input, request::Refusal};
use tokio::task::{AbortHandle, JoinSet};

use super::{Arrivals, CoreInput};
use crate::{Received, request::RequestHandler, validation::Validator};

/// Whoever is called for something, if anybody is.
#[derive(Debug)]
pub(crate) struct HandlerSlot<H>(Mutex<Option<H>>);

impl<H> Default for HandlerSlot<H> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<H: Clone> HandlerSlot<H> {
    /// Takes the place of the one before.
    pub(crate) fn set(&self, handler: Option<H>) {
        // What a handler holds may be anything: it is dropped when nothing is locked.
        let before = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, handler)
        };
        drop(before);
    }

    pub(crate) fn handler(&self) -> Option<H> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A task for each request that is being answered, and for each broadcast that is judged: as many
/// as the core hands over, which is bounded. Dropping it ends them all.
#[derive(Debug, Default)]
pub(super) struct Serving {
    tasks: JoinSet<()>,
    under_way: HashMap<(NodeId, u64), AbortHandle>,
}

impl Serving {
    /// Has it answered; the answer arrives like everything else, or is there at once.
    pub(super) fn serve(
        &mut self,
        (from, id): (NodeId, u64),
        payload: Bytes,
        slot: &HandlerSlot<RequestHandler>,
        arrivals: &Arrivals,
    ) -> Option<Input> {
        let Some(handler) = slot.handler() else {
            return Some(Input::Answered { from, id, answer: Err(Refusal::NoHandler) });
        };
        while self.tasks.try_join_next().is_some() {}
        let arrivals = arrivals.clone();
        let task = self.tasks.spawn(async move {
            let answer = handler.answer(from, payload).await;
            // A core that is gone has no use for it.
            let _ = arrivals.send(CoreInput::Input(Input::Answered { from, id, answer }));
        });
        self.under_way.insert((from, id), task);
        None
    }

    /// Has a broadcast judged; the word arrives like everything else. Whose node ends says nothing
    /// any more.
    pub(super) fn validate(
        &mut self,
        id: ValidationId,
        message: Received,
        slot: &HandlerSlot<Validator>,
        arrivals: &Arrivals,
    ) {
        let Some(validator) = slot.handler() else { return };
        while self.tasks.try_join_next().is_some() {}
        let arrivals = arrivals.clone();
        self.tasks.spawn(async move {
            let validity = validator.validity(message).await;
            // A core that is gone has no use for it.
            let _ = arrivals.send(CoreInput::Input(Input::Validity { id, validity }));
        });
    }

    /// It is answered.
    pub(super) fn handle_answered(&mut self, from: NodeId, id: u64) {
        self.under_way.remove(&(from, id));
    }

    /// Nobody wants the answer.
    pub(super) fn abandon(&mut self, from: NodeId, id: u64) {
        if let Some(task) = self.under_way.remove(&(from, id)) {
            task.abort();
        }
    }
}
