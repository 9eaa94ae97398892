//! The driver of a TCP transport.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use positron_proto::{
    node::Input,
    session::sessions::LinkKind,
    time::{Instant, Now},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep_until,
};

use super::{
    super::{machine::ProtocolMachine as _, send_turn::Sleep, shared::Shared},
    machine::Tcp,
};
use crate::{
    driver::{CoreInput, Links, listen},
    limits::{BATCH, MAX_ACCEPTED},
};

/// Brings the machine what arrives, and keeps the time.
pub(super) async fn drive(
    shared: Arc<Shared<Tcp>>,
    listener: TcpListener,
    mut inputs: mpsc::UnboundedReceiver<CoreInput>,
) {
    let (accepted, mut connections) = mpsc::channel(MAX_ACCEPTED);
    let mut accepting = JoinSet::new();
    accepting.spawn(listen::accept_all(listener, accepted));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let timer = pin!(sleep_until(shared.clock.timer(shared.next_wake())));
        tokio::select! {
            count = inputs.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break; // the links are gone: the transport is closed
                }
                batch.drain(..).for_each(|input| shared.handle_input(input));
            }
            Some((stream, from)) = connections.recv(), if shared.has_room() => {
                shared.handle_accepted(stream, from);
            }
            () = shared.wake_driver.notified() => {}
            () = timer => {}
        }
        shared.handle_timeout();
        if shared.is_closing() {
            accepting.abort_all();
        }
    }
    // The port is free when its task is gone.
    accepting.shutdown().await;
}

impl Shared<Tcp> {
    /// Until when the driver may sleep.
    fn next_wake(&self) -> Instant {
        let mut locked = self.lock();
        let (now, due) = (self.clock.now().mono, locked.machine.poll_timeout());
        match locked.turn.next_wake(now, due) {
            Sleep::No => now,
            Sleep::Until(at) | Sleep::BlockedUntil(at) => at,
        }
    }

    /// The driver does not sleep any more, and does what is due.
    fn handle_timeout(&self) {
        self.lock().turn.woke();
        self.act(|machine, now| {
            if machine.poll_timeout().is_some_and(|at| at <= now.mono) {
                machine.sessions.handle_timeout(now, &mut machine.out);
            }
        });
    }

    fn handle_input(&self, input: CoreInput) {
        let is_over = matches!(input, CoreInput::Input(Input::LinkDown { .. }));
        self.act(|machine, now| machine.handle_input(now, input));
        if is_over {
            self.ended.notify_waiters();
        }
    }

    fn handle_accepted(&self, stream: TcpStream, from: SocketAddr) {
        self.act(|machine, now| {
            let Some(links) = machine.links.as_mut().filter(|_| !self.is_closing()) else { return };
            let link = links.accept(stream);
            machine.sessions.handle_accepted(
                now,
                LinkKind::Tcp,
                link,
                from,
                None,
                &mut machine.out,
            );
        });
    }

    /// Whether another connection may come in.
    fn has_room(&self) -> bool {
        self.lock().machine.links.as_ref().is_some_and(Links::has_room)
    }
}

impl Tcp {
    fn handle_input(&mut self, now: Now, input: CoreInput) {
        let Some(links) = &mut self.links else { return };
        let out = &mut self.out;
        match input {
            CoreInput::Input(Input::Connected { link, certificate }) => {
                self.sessions.handle_connected(now, link, certificate, out);
            }
            CoreInput::Input(Input::Bytes { link, bytes }) => {
                self.sessions.handle_bytes(now, link, bytes, out);
                links.chunk_handled(link);
            }
            CoreInput::Input(Input::LinkDown { link, reason }) => {
                links.handle_end(link);
                self.sessions.handle_link_down(now, link, reason, out);
            }
            CoreInput::Written(link) => {
                let bytes = links.take_written(link);
                self.sessions.handle_written(now, link, bytes, out);
            }
            // Links bring nothing else.
            CoreInput::Input(_) | CoreInput::Stream(_) => {}
        }
    }
}
