//! What the application and the core's task share of a stream.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use positron_proto::{
    limits::SUBSTREAM_PIECE,
    substream::{SubstreamEnd, SubstreamId, SubstreamNews, SubstreamOrder},
};

use super::StreamError;
use crate::{
    driver::{Arrivals, CoreInput},
    limits::{STREAM_LEAST_PIECE, STREAM_READ_SHARE, STREAM_SEND_BUFFER},
};

/// A stream, as long as one of its ends is held or the core knows it.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) id: SubstreamId,
    arrivals: Arrivals,
    state: Mutex<PipeState>,
}

#[derive(Debug, Default)]
struct PipeState {
    sending: Sending,
    receiving: Receiving,
    /// Whether the core's task was told to look and has not yet.
    told: bool,
    node_stopped: bool,
}

#[derive(Debug, Default)]
struct Sending {
    /// Written, and not seen by the core: whole pieces, and one that is growing.
    pieces: Vec<Bytes>,
    growing: BytesMut,
    /// Bytes that were written and are not on their way: those and what waits in the core.
    waiting: usize,
    /// What the core is to be told behind the buffer.
    closing: Option<Closing>,
    /// Whether nothing can be written any more.
    closed: bool,
    /// Whether that is because the application gave up.
    was_reset: bool,
    /// How it ended.
    end: Option<Result<(), SubstreamEnd>>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Closing {
    Finish,
    Reset(u32),
}

#[derive(Debug, Default)]
struct Receiving {
    pieces: VecDeque<Bytes>,
    /// Bytes that were read and of which the core was not told.
    read: usize,
    /// Whether the core is told of bytes read even if there are none: the application is there.
    ready: bool,
    /// What the core is to be told: nothing more is read.
    stop: Option<u32>,
    end: Option<Result<(), SubstreamEnd>>,
    /// Whether nobody reads any more.
    closed: bool,
    reader: Option<Waker>,
}

impl Pipe {
    pub(crate) fn new(id: SubstreamId, arrivals: Arrivals) -> Self {
        Self { id, arrivals, state: Mutex::default() }
    }

    // --- the application's ends ---

    /// The application holds it: more than the first window may come.
    pub(super) fn handle_held(&self) {
        let mut state = self.lock();
        state.receiving.ready = true;
        self.tell(&mut state);
    }

    /// Takes what there is room for.
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let mut state = self.lock();
        state.check_sending()?;
        let room = STREAM_SEND_BUFFER.saturating_sub(state.sending.waiting);
        let len = room.min(bytes.len());
        if len == 0 && !bytes.is_empty() {
            state.sending.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.sending.append(&bytes[..len]);
        self.tell(&mut state);
        Poll::Ready(Ok(len))
    }

    /// Nothing more comes; ready when the other node has everything.
    pub(super) fn poll_finish(&self, cx: &Context<'_>) -> Poll<Result<(), StreamError>> {
        let mut state = self.lock();
        if let Some(end) = state.sending.end {
            return Poll::Ready(end.map_err(StreamError::from));
        }
        if state.node_stopped {
            return Poll::Ready(Err(StreamError::NodeStopped));
        }
        if !state.sending.closed {
            state.sending.closed = true;
            state.sending.closing = Some(Closing::Finish);
            self.tell(&mut state);
        }
        state.sending.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Nothing more comes, and what was written may not arrive. Of one that is finished this is
    /// only done if `even_if_finished`.
    pub(super) fn reset(&self, code: u32, even_if_finished: bool) {
        let mut state = self.lock();
        let sending = &mut state.sending;
        if sending.end.is_some() || sending.closed && !even_if_finished {
            return;
        }
        sending.take();
        (sending.closed, sending.was_reset) = (true, true);
        sending.closing = Some(Closing::Reset(code));
        self.tell(&mut state);
    }

    /// The next bytes; `None` after the last.
    pub(super) fn poll_read(
        &self,
        cx: &Context<'_>,
        most: usize,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        let mut state = self.lock();
        let stopped = state.node_stopped;
        let receiving = &mut state.receiving;
        if let Some(Err(why)) = receiving.end {
            return Poll::Ready(Err(why.into()));
        }
        let Some(first) = receiving.pieces.front_mut() else {
            if receiving.end.is_some() {
                return Poll::Ready(Ok(None));
            }
            if stopped {
                return Poll::Ready(Err(StreamError::NodeStopped));
            }
            receiving.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let bytes = if first.len() > most {
            first.split_to(most)
        } else {
            receiving.pieces.pop_front().unwrap_or_default()
        };
        receiving.read += bytes.len();
        if receiving.read >= STREAM_READ_SHARE || receiving.pieces.is_empty() {
            self.tell(&mut state);
        }
        Poll::Ready(Ok(Some(bytes)))
    }

    /// Nothing more is read.
    pub(super) fn stop(&self, code: u32) {
        let mut state = self.lock();
        let receiving = &mut state.receiving;
        if receiving.closed {
            return;
        }
        receiving.closed = true;
        receiving.pieces.clear();
        receiving.stop = Some(code);
        self.tell(&mut state);
    }

    // --- the core's task ---

    /// What the application did since this was asked last, in order.
    pub(crate) fn take_orders(&self) -> Vec<SubstreamOrder> {
        let mut state = self.lock();
        state.told = false;
        let PipeState { sending, receiving, .. } = &mut *state;
        let mut orders = Vec::new();
        orders.extend(sending.take().into_iter().map(SubstreamOrder::Write));
        match sending.closing.take() {
            Some(Closing::Finish) => orders.push(SubstreamOrder::Finish),
            Some(Closing::Reset(code)) => orders.push(SubstreamOrder::Reset(code)),
            None => {}
        }
        let read = std::mem::take(&mut receiving.read);
        if read > 0 || std::mem::take(&mut receiving.ready) {
            orders.push(SubstreamOrder::Consumed(read));
        }
        orders.extend(receiving.stop.take().map(SubstreamOrder::Stop));
        orders
    }

    /// Something happened. Whether the stream is over in both directions, for the core.
    pub(crate) fn handle_news(&self, news: SubstreamNews) -> bool {
        let mut state = self.lock();
        let PipeState { sending, receiving, .. } = &mut *state;
        match news {
            SubstreamNews::Incoming => {}
            SubstreamNews::Data(bytes) if receiving.closed => drop(bytes),
            SubstreamNews::Data(bytes) => {
                receiving.pieces.push_back(bytes);
                wake(&mut receiving.reader);
            }
            SubstreamNews::Finished => receiving.end(Ok(())),
            SubstreamNews::Reset(why) => receiving.end(Err(why)),
            SubstreamNews::Taken(bytes) => {
                sending.waiting -= bytes;
                if sending.waiting <= STREAM_SEND_BUFFER / 2 {
                    wake(&mut sending.writer);
                }
            }
            SubstreamNews::Delivered => sending.end(Ok(())),
            SubstreamNews::Stopped(why) => sending.end(Err(why)),
        }
        state.is_over()
    }

    /// Whether the core is through with it in both directions.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// The node is gone.
    pub(crate) fn handle_node_stopped(&self) {
        let mut state = self.lock();
        state.node_stopped = true;
        wake(&mut state.sending.writer);
        wake(&mut state.receiving.reader);
    }

    /// Has the core's task look, once for all that comes together until it does.
    fn tell(&self, state: &mut PipeState) {
        if !std::mem::replace(&mut state.told, true) {
            // A node that stopped looks no more.
            let _ = self.arrivals.send(CoreInput::Stream(self.id));
        }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeState {
    fn check_sending(&self) -> Result<(), StreamError> {
        match self.sending.end {
            Some(Err(why)) => Err(why.into()),
            _ if self.sending.closed => Err(StreamError::Finished),
            _ if self.node_stopped => Err(StreamError::NodeStopped),
            _ => Ok(()),
        }
    }

    /// A half that was reset or stopped here, and told, has no news any more.
    const fn is_over(&self) -> bool {
        let Sending { closing, end, was_reset, .. } = &self.sending;
        let sent = end.is_some() || *was_reset && closing.is_none();
        let Receiving { end, closed, stop, .. } = &self.receiving;
        sent && (end.is_some() || *closed && stop.is_none())
    }
}

impl Sending {
    /// Into pieces as the core cuts them, so that nothing is copied again to be put together.
    fn append(&mut self, mut bytes: &[u8]) {
        self.waiting += bytes.len();
        while !bytes.is_empty() {
            if self.growing.capacity() == 0 {
                self.growing.reserve(bytes.len().clamp(STREAM_LEAST_PIECE, SUBSTREAM_PIECE));
            }
            let room = self.growing.capacity() - self.growing.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.growing.extend_from_slice(now);
            bytes = later;
            if self.growing.len() == self.growing.capacity() {
                self.pieces.push(std::mem::take(&mut self.growing).freeze());
            }
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        let mut pieces = std::mem::take(&mut self.pieces);
        if !self.growing.is_empty() {
            pieces.push(std::mem::take(&mut self.growing).freeze());
        }
        pieces
    }

    fn end(&mut self, how: Result<(), SubstreamEnd>) {
        self.end.get_or_insert(how);
        wake(&mut self.writer);
    }
}

impl Receiving {
    fn end(&mut self, how: Result<(), SubstreamEnd>) {
        self.end.get_or_insert(how);
        if how.is_err() {
            self.pieces.clear();
        }
        wake(&mut self.reader);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
