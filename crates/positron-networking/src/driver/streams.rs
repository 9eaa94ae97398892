//! The streams to other nodes that the core and the application know.

use std::{collections::HashMap, sync::Arc};

use positron_proto::{
    id::Ticket,
    node::Outcome,
    substream::{SubstreamId, SubstreamNews, SubstreamOrder},
};
use tokio::sync::{mpsc, oneshot};

use super::Arrivals;
use crate::{NodeStream, OpenStreamError, limits::MAX_INCOMING_STREAMS, streams::pipe::Pipe};

/// Those that other nodes opened, for the application.
pub(crate) type IncomingStreams = mpsc::Receiver<NodeStream>;

/// Who wants a stream.
pub(crate) type OpenReply = oneshot::Sender<Result<NodeStream, OpenStreamError>>;

/// Every stream that is not over in both directions. The core bounds how many there are.
#[derive(Debug)]
pub(crate) struct StreamTable {
    pipes: HashMap<SubstreamId, Arc<Pipe>>,
    opening: HashMap<Ticket, OpenReply>,
    incoming: mpsc::Sender<NodeStream>,
    arrivals: Arrivals,
}

impl StreamTable {
    /// None, and where those go that others open.
    pub(crate) fn new(arrivals: Arrivals) -> (Self, IncomingStreams) {
        let (incoming, taken) = mpsc::channel(MAX_INCOMING_STREAMS);
        let (pipes, opening) = (HashMap::new(), HashMap::new());
        (Self { pipes, opening, incoming, arrivals }, taken)
    }

    /// The core was asked for one.
    pub(crate) fn expect(&mut self, ticket: Ticket, reply: OpenReply) {
        self.opening.insert(ticket, reply);
    }

    /// How that ended, if the outcome is one of a stream. Who left resets it.
    pub(crate) fn handle_outcome(&mut self, ticket: Ticket, outcome: &Outcome) {
        let Some(reply) = self.opening.remove(&ticket) else { return };
        let opened = match outcome {
            Outcome::StreamOpened(id) => Ok(self.begin(*id)),
            Outcome::StreamNotOpened(why) => Err((*why).into()),
            Outcome::Refused(why) => Err(why.clone().into()),
            _ => Err(OpenStreamError::Stopped),
        };
        let _ = reply.send(opened);
    }

    /// What the core says of one.
    pub(crate) fn handle_news(&mut self, id: SubstreamId, news: SubstreamNews) {
        if news == SubstreamNews::Incoming {
            let stream = self.begin(id);
            // One that nobody takes is dropped, and so reset: too many wait, or the last handle of
            // the node is gone.
            let _ = self.incoming.try_send(stream);
        } else if self.pipes.get(&id).is_some_and(|pipe| pipe.handle_news(news)) {
            self.pipes.remove(&id);
        }
    }

    /// What the application did with one since it was looked at last.
    pub(crate) fn take_orders(&mut self, id: SubstreamId) -> Vec<SubstreamOrder> {
        let Some(pipe) = self.pipes.get(&id) else { return Vec::new() };
        let orders = pipe.take_orders();
        if pipe.is_over() {
            self.pipes.remove(&id);
        }
        orders
    }

    fn begin(&mut self, id: SubstreamId) -> NodeStream {
        let pipe = Arc::new(Pipe::new(id, self.arrivals.clone()));
        self.pipes.insert(id, Arc::clone(&pipe));
        NodeStream::new(pipe)
    }
}

impl Drop for StreamTable {
    fn drop(&mut self) {
        self.pipes.values().for_each(|pipe| pipe.handle_node_stopped());
    }
}
