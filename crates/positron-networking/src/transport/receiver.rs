//! Readers of a transport.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use super::{
    Connection, Incoming, Protocol, guard::TransportGuard, mailbox::Reader, shared::Shared,
};

/// What arrives at a transport, also as a [`Stream`](futures_core::Stream): one reader of
/// [`incoming`](super::Transport::incoming). It does not keep the transport alive.
#[derive(Debug)]
pub struct Receiver<P: Protocol> {
    guard: Weak<TransportGuard<P>>,
    shared: Arc<Shared<P>>,
    reader: Reader,
}

impl<P: Protocol> Receiver<P> {
    pub(super) fn new(guard: &Arc<TransportGuard<P>>) -> Self {
        let shared = guard.shared().clone();
        let reader = shared.received.reader();
        Self { guard: Arc::downgrade(guard), shared, reader }
    }

    /// The next message; `None` when the transport is closed and all that waited was taken.
    ///
    /// Cancel-safe: a message is taken or not, never lost. Taking it makes room for the next.
    pub async fn recv(&mut self) -> Option<Incoming<Connection<P>>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Appends what waits to `buffer`, at most `limit` messages: how many, as soon as there is one.
    /// 0 when the transport is closed and all that waited was taken, or if `limit` is 0.
    /// Connections take turns, message by message.
    ///
    /// Cancel-safe: what was taken is in `buffer`.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::UdpTransport;
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// for n in 0..100 {
    ///     alice.send_reliable(bob.local_addr(), vec![n]).await?;
    /// }
    /// let (mut incoming, mut messages) = (bob.incoming(), Vec::new());
    /// while messages.len() < 100 {
    ///     incoming.recv_many(&mut messages, 32).await;
    /// }
    /// assert!((0..100).eq(messages.iter().map(|message| message.data[0])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn recv_many(
        &mut self,
        buffer: &mut Vec<Incoming<Connection<P>>>,
        limit: usize,
    ) -> usize {
        let before = buffer.len();
        if limit > 0 {
            poll_fn(|cx| self.poll_take(cx, limit, |message| buffer.push(message))).await;
        }
        buffer.len() - before
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Incoming<Connection<P>>>> {
        let mut taken = None;
        ready!(self.poll_take(cx, 1, |message| taken = Some(message)));
        Poll::Ready(taken)
    }

    /// Ready when something was taken, or nothing more comes.
    fn poll_take(
        &self,
        cx: &mut Context<'_>,
        limit: usize,
        mut each: impl FnMut(Incoming<Connection<P>>),
    ) -> Poll<()> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let mut guard = None;
        let taken = self.shared.received.poll_take(&self.reader, cx, limit, |channel, message| {
            let guard = guard.get_or_insert_with(|| self.guard());
            each(Incoming::new(message, Connection::new(guard.clone(), channel)));
        });
        let release = ready!(taken).unwrap_or_default();
        turn.made_progress();
        self.shared.release(release.iter().map(|(channel, bytes)| (channel, *bytes)));
        Poll::Ready(())
    }

    fn guard(&self) -> Arc<TransportGuard<P>> {
        let guard = self.guard.upgrade();
        guard.unwrap_or_else(|| Arc::new(TransportGuard::ended(self.shared.clone())))
    }
}

impl<P: Protocol> futures_core::Stream for Receiver<P> {
    type Item = Incoming<Connection<P>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl<P: Protocol> Drop for Receiver<P> {
    fn drop(&mut self) {
        self.shared.received.leave(&self.reader);
    }
}
