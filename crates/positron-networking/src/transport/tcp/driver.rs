//! The driver of a TCP transport.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use positron_proto::{
    node::Input,
    time::{Instant, Now},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep_until,
};

use super::{super::shared::Shared, machine::Tcp};
use crate::{
    driver::{CoreInput, Links, listen},
    limits::{BATCH, MAX_ACCEPTED},
};

/// Brings the machine what arrives, and keeps the time.
pub(super) async fn drive(
    shared: Arc<Shared<Tcp>>,
    listener: TcpListener,
    mut arriving: mpsc::UnboundedReceiver<CoreInput>,
) {
    let (accepted, mut newcomers) = mpsc::channel(MAX_ACCEPTED);
    let mut accepting = JoinSet::new();
    accepting.spawn(listen::accept_all(listener, accepted));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let timer = pin!(sleep_until(shared.clock.timer(shared.rest())));
        tokio::select! {
            count = arriving.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break; // the links are gone: the transport is closed
                }
                batch.drain(..).for_each(|arrival| shared.arrive(arrival));
            }
            Some((stream, from)) = newcomers.recv(), if shared.has_room() => {
                shared.take_in(stream, from);
            }
            () = shared.kick.notified() => {}
            () = timer => {}
        }
        shared.woke();
        if shared.is_closing() {
            accepting.abort_all();
        }
    }
    // The port is free when its task is gone.
    accepting.shutdown().await;
}

impl Shared<Tcp> {
    /// Until when the driver may sleep.
    fn rest(&self) -> Instant {
        let mut machine = self.look();
        let until = machine.sessions.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        machine.asleep = Some(until);
        until
    }

    /// The driver does not sleep any more, and does what is due.
    fn woke(&self) {
        self.act(|machine, now| {
            machine.asleep = None;
            if machine.sessions.poll_timeout().is_some_and(|at| at <= now.mono) {
                machine.sessions.handle_timeout(now, &mut machine.out);
            }
        });
    }

    fn arrive(&self, arrival: CoreInput) {
        self.act(|machine, now| machine.arrive(now, arrival, self));
    }

    fn take_in(&self, stream: TcpStream, from: SocketAddr) {
        self.act(|machine, now| {
            let Some(links) = machine.links.as_mut().filter(|_| !self.is_closing()) else { return };
            let link = links.accept(stream);
            machine.sessions.handle_accepted(now, link, from, &mut machine.out);
        });
    }

    /// Whether another connection may come in.
    fn has_room(&self) -> bool {
        self.look().links.as_ref().is_some_and(Links::has_room)
    }
}

impl Tcp {
    fn arrive(&mut self, now: Now, arrival: CoreInput, shared: &Shared<Self>) {
        let Some(links) = &mut self.links else { return };
        let out = &mut self.out;
        match arrival {
            CoreInput::Input(Input::Connected { link }) => {
                self.sessions.handle_connected(now, link, out);
            }
            CoreInput::Input(Input::Bytes { link, bytes }) => {
                self.sessions.handle_bytes(now, link, bytes, out);
                links.chunk_handled(link, 0);
            }
            CoreInput::Input(Input::LinkDown { link, reason }) => {
                links.ended(link);
                self.sessions.handle_link_down(now, link, reason, out);
                shared.ended.notify_waiters();
            }
            CoreInput::Written(link) => {
                let bytes = links.take_written(link);
                self.sessions.handle_written(now, link, bytes, out);
            }
            // Links bring nothing else.
            CoreInput::Input(_) | CoreInput::Verdict(..) => {}
        }
    }
}
