//! The one task that owns the core.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use positron_proto::{
    datagram::contract::ExtraSocket,
    id::Ticket,
    node::{Command, Effect, Event, Input, NodeCore, NodeView, Outcome},
    session::sessions::LinkKind,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Arrivals, Clock, CoreInput, Sockets,
    datagrams::{Arrived, Batch},
    extra_sockets::ExtraSockets,
    interfaces,
    links::Links,
    listen::{Accepted, accept_all},
    lookup::lookup,
    order::{Order, Reply},
    packets::Packets,
    router::{self, RouterWay},
    serving::{HandlerSlot, Serving},
    showing::{Published, Showing, Shown},
    storage::Storage,
    streams::{IncomingStreams, StreamTable},
    verify_pool::{Check, VerifyPool},
};
use crate::{
    NodeEvent, Received, ShutdownError,
    endings::{lost_peers, recent_dials},
    feed::{Feeds, Undecodable},
    hash_table::dht_stats,
    limits::{
        BATCH, EVENT_INTERVAL, GOODBYE_TIMEOUT, INLINE_CHECKS, LOOKUP_TIMEOUT, MAX_ACCEPTED,
        MAX_LOOKED_UP, MAX_UNTOLD_EVENTS, READ_ROUNDS, SOCKET_FLUSH_TIMEOUT,
    },
    orders::Orders,
    request::RequestHandler,
    standing::peer_detail,
    stats::{ApplicationStats, Unsent, bans, known_nodes, trusted},
    validation::Validator,
};

/// Everyone who listens to a node.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(crate) messages: Feeds<Received>,
    pub(crate) events: Feeds<NodeEvent>,
    /// Tells durable subscriptions that a message came.
    pub(crate) appended: watch::Sender<()>,
    pub(crate) undecodable: Arc<Undecodable>,
    /// Who answers requests.
    pub(crate) requests: HandlerSlot<RequestHandler>,
    /// Who says which broadcasts are valid.
    pub(crate) validator: HandlerSlot<Validator>,
}

impl Subscriptions {
    /// What the application took and lost.
    pub(crate) fn application(&self) -> ApplicationStats {
        let (subscribers, messages_dropped) = self.messages.usage();
        ApplicationStats {
            subscribers: u64::try_from(subscribers).unwrap_or(u64::MAX),
            messages_dropped,
            messages_unheard: self.messages.unheard(),
            events_dropped: self.events.usage().1,
            undecodable: self.undecodable.total(),
        }
    }
}

/// The task. Dropping it ends everything that it started, without a goodbye.
pub(crate) struct CoreTask {
    core: NodeCore,
    clock: Clock,
    links: Links,
    /// None if links are made of byte streams only.
    packets: Option<Packets>,
    storage: Storage,
    hub: Arc<Subscriptions>,
    /// The way to itself, which messages are given for who answers them.
    orders: Orders,
    /// Signatures to be checked, of the inputs of this wake-up.
    checks: Vec<Check>,
    /// Inputs that answer effects at once.
    answers: VecDeque<Input>,
    /// Who waits for the end of which command.
    waiting: HashMap<Ticket, (oneshot::Sender<Reply>, Option<OwnedSemaphorePermit>)>,
    streams: StreamTable,
    /// The way to the router that is to map the port.
    router: Arc<RouterWay>,
    lookups: JoinSet<()>,
    serving: Serving,
    showing: Showing,
    /// Whether something happened since the last view.
    stale: bool,
    /// What is told with the next view: who hears of it and looks must see it.
    events: Vec<NodeEvent>,
    arrivals: Arrivals,
    goodbye: Goodbye,
}

/// How far the node is with its end.
enum Goodbye {
    /// It runs.
    NotYet,
    /// The peers are being told, until then.
    Said(Instant),
    /// They were told, and the links flush, until then.
    Heard(Instant),
}

impl CoreTask {
    /// A node that runs as soon as [`run`](Self::run) is polled, and a view of it.
    pub(crate) fn new(
        core: NodeCore,
        clock: Clock,
        dial_timeout: std::time::Duration,
        storage: Storage,
        hub: Arc<Subscriptions>,
        arrivals: Arrivals,
        orders: Orders,
    ) -> (Box<Self>, Shown, IncomingStreams) {
        let (streams, incoming) = StreamTable::new(arrivals.clone());
        let view = core.view(clock.now());
        let (unsent, at) = (Unsent::default(), Instant::now());
        let first = Published { view, folder: storage.folder(), unsent, at };
        let (showing, shown) = Showing::new(first);
        let task = Self {
            core,
            clock,
            links: Links::new(dial_timeout, arrivals.clone()),
            packets: None,
            storage,
            hub,
            orders,
            checks: Vec::new(),
            answers: VecDeque::new(),
            waiting: HashMap::new(),
            streams,
            router: Arc::default(),
            lookups: JoinSet::new(),
            serving: Serving::default(),
            showing,
            stale: false,
            events: Vec::new(),
            arrivals,
            goodbye: Goodbye::NotYet,
        };
        (Box::new(task), shown, incoming)
    }

    /// Drives the core until it stopped. In a box: a future has room of its own for each place
    /// where what it owns may be.
    pub(crate) async fn run(
        mut self: Box<Self>,
        sockets: Sockets,
        mut arrivals: mpsc::UnboundedReceiver<CoreInput>,
        mut orders: mpsc::Receiver<Order>,
    ) -> Result<(), ShutdownError> {
        let (accepted, mut newcomers) = mpsc::channel(MAX_ACCEPTED);
        let mut outside = JoinSet::new();
        if let Some(listener) = sockets.streams {
            outside.spawn(accept_all(listener, accepted));
        }
        if sockets.address.ip().is_unspecified() {
            outside.spawn(interfaces::watch(self.arrivals.clone()));
        }
        if self.showing.last().view.nat.port_mapping.is_some() {
            outside.spawn(router::watch(self.router.clone(), self.arrivals.clone()));
        }
        let listening = sockets.address;
        self.packets = sockets.datagrams.map(|socket| Packets::new(socket, listening));
        let mut batch = Vec::new();

        self.handle(Input::Listening(vec![sockets.address]));
        while !self.is_over() {
            self.finish_batch(arrivals.is_empty());
            self.send_packets();
            let open = self.is_staying() && self.links.has_room();
            tokio::select! {
                _ = arrivals.recv_many(&mut batch, BATCH) => {
                    batch.drain(..).for_each(|arrival| self.arrive(arrival));
                }
                () = ready(self.packets.as_ref()) => self.take_packets(),
                Some(newcomer) = newcomers.recv(), if open => self.accept(newcomer),
                Some(order) = orders.recv() => self.handle_order(order),
                () = sleep_until(self.alarm()) => self.handle(Input::Timeout),
                () = self.showing.looked_at() => {}
            }
            if !self.is_staying() {
                outside.abort_all();
            }
        }
        self.finish_batch(true);
        self.send_packets();
        // The port is free when the task is gone that accepts.
        outside.shutdown().await;
        self.end().await
    }

    fn arrive(&mut self, arrival: CoreInput) {
        match arrival {
            CoreInput::Input(Input::Bytes { link, bytes }) => {
                self.handle(Input::Bytes { link, bytes });
                self.links.chunk_handled(link);
            }
            CoreInput::Input(Input::LinkDown { link, reason }) => {
                self.links.handle_end(link);
                self.handle(Input::LinkDown { link, reason });
            }
            CoreInput::Input(Input::Answered { from, id, answer }) => {
                self.serving.handle_answered(from, id);
                self.handle(Input::Answered { from, id, answer });
            }
            CoreInput::Input(Input::Unwanted { ticket }) => {
                self.waiting.remove(&ticket);
                self.handle(Input::Unwanted { ticket });
            }
            CoreInput::Input(input) => self.handle(input),
            CoreInput::Stream(id) => {
                for order in self.streams.take_orders(id) {
                    self.core.handle_stream_order(self.clock.now(), id, order);
                    self.drain();
                }
            }
            CoreInput::Written(link) => {
                let bytes = self.links.take_written(link);
                self.handle(Input::Written { link, bytes });
            }
        }
    }

    /// Handles the datagrams of one wake-up.
    fn take_packets(&mut self) {
        for to in self.packets.as_ref().map(Packets::take_no_way).unwrap_or_default() {
            self.handle(Input::NoWay { to });
        }
        Batch::lend(|batch| {
            for _ in 0..READ_ROUNDS {
                if self.read(batch) == Arrived::All {
                    break;
                }
            }
            self.read_extra(batch);
        });
    }

    /// Reads datagrams once, and handles them.
    fn read(&mut self, batch: &mut Batch) -> Arrived {
        let Some(packets) = &mut self.packets else { return Arrived::All };
        let arrived = packets.read(batch);
        for some in batch.datagrams().filter(|some| !ExtraSocket::is_name(some.from)) {
            let now = self.clock.now();
            self.core.handle_datagrams(now, some.from, some.segment_size, some.bytes);
            self.drain();
        }
        arrived
    }

    /// The same for the extra sockets.
    fn read_extra(&mut self, batch: &mut Batch) {
        for _ in 0..READ_ROUNDS {
            let packets = self.packets.as_ref();
            let Some(socket) = packets.and_then(|packets| packets.read_extra(batch)) else {
                return;
            };
            for some in batch.datagrams() {
                let Some(from) = socket.path(some.from) else { continue };
                self.core.handle_datagrams(self.clock.now(), from, some.segment_size, some.bytes);
                self.drain();
            }
        }
    }

    /// Sends what is due: the last thing after everything that happened in a wake-up.
    fn send_packets(&mut self) {
        if let Some(packets) = &mut self.packets {
            packets.send(&mut self.core, &self.clock);
        }
    }

    fn accept(&mut self, (stream, from): Accepted) {
        let link = self.links.accept(stream);
        self.handle(Input::Accepted { kind: LinkKind::Tcp, link, from, certificate: None });
    }

    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Command { command, reply, permit } => {
                if command == Command::Stop {
                    self.goodbye = Goodbye::Said(Instant::now() + GOODBYE_TIMEOUT);
                }
                match self.core.command(self.clock.now(), command) {
                    Ok(ticket) => drop(self.waiting.insert(ticket, (reply, permit))),
                    Err(refused) => drop(reply.send(Err(refused))),
                }
                self.drain();
            }
            Order::OpenStream { to, reply } => {
                match self.core.command(self.clock.now(), Command::OpenStream { to }) {
                    Ok(ticket) => self.streams.expect(ticket, reply),
                    Err(refused) => drop(reply.send(Err(refused.into()))),
                }
                self.drain();
            }
            Order::Ask { command, reply, ticket: place } => {
                match self.core.command(self.clock.now(), command) {
                    Ok(ticket) => {
                        let _ = place.set(ticket);
                        if reply.is_closed() {
                            self.core.handle(self.clock.now(), Input::Unwanted { ticket });
                        } else {
                            self.waiting.insert(ticket, (reply, None));
                        }
                    }
                    Err(refused) => drop(reply.send(Err(refused))),
                }
                self.drain();
            }
            Order::Join { address, reply } => {
                let taken = self.core.command(self.clock.now(), Command::Join { address });
                self.drain();
                self.publish();
                let _ = reply.send(taken.map(drop));
            }
            Order::Publish { reply } => {
                self.publish();
                let _ = reply.send(());
            }
            Order::Next { name, from, reply } => {
                let _ = reply.send(self.core.first_unacknowledged(&name, from));
            }
            Order::History { reply } => {
                let _ = reply.send(self.core.gossip().history().cloned().collect());
            }
            Order::KnownNodes { reply } => drop(reply.send(known_nodes(&self.core))),
            Order::Bans { reply } => drop(reply.send(bans(&self.core))),
            Order::LostPeers { reply } => {
                let _ = reply.send(lost_peers(&self.core, self.clock.now()));
            }
            Order::RecentDials { reply } => {
                let _ = reply.send(recent_dials(&self.core, self.clock.now()));
            }
            Order::Trace { message, reply } => {
                let _ = reply.send(self.core.trace(self.clock.now(), &message));
            }
            Order::PeerDetail { peer, reply } => {
                let _ = reply.send(peer_detail(&self.core, self.clock.now(), peer));
            }
            Order::TableStats { reply } => {
                let _ = reply.send(dht_stats(&self.core, self.clock.now()));
            }
            Order::Trusted { min_trust, reply } => {
                let _ = reply.send(trusted(&self.core, self.clock.now(), min_trust));
            }
        }
    }

    /// Gives the core an input, and whatever answers it at once, and does what it wants.
    fn handle(&mut self, input: Input) {
        self.core.handle(self.clock.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        self.stale = true;
        loop {
            while let Some(effect) = self.core.poll_effect() {
                self.execute(effect);
            }
            let Some(answer) = self.answers.pop_front() else { return };
            self.core.handle(self.clock.now(), answer);
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Dial { link, kind, to } => self.links.dial(link, kind, to),
            Effect::Write { link, bytes } => self.links.write(link, bytes),
            Effect::Hangup { link, how } => self.links.hangup(link, how),
            Effect::Read { link, reading } => self.links.set_reading(link, reading),
            Effect::OpenSocket(socket) => self.extra_sockets(|extra| extra.open(socket)),
            Effect::CloseSocket(socket) => self.extra_sockets(|extra| extra.close(socket)),
            Effect::AskRouter { to, bytes } => self.router.ask(to, &bytes),
            Effect::Resolve { name } => self.resolve_name(name),
            Effect::Verify { check, job, from } => {
                self.checks.push(Check { id: check, job, from });
            }
            Effect::Persist { id, change } => self.answers.extend(self.storage.persist(id, change)),
            Effect::Emit(event) => self.emit(event),
        }
    }

    fn extra_sockets(&mut self, change: impl FnOnce(&mut ExtraSockets)) {
        self.packets.as_mut().map(Packets::extra_sockets).map(change);
    }

    fn resolve_name(&mut self, name: String) {
        let arrivals = self.arrivals.clone();
        while self.lookups.try_join_next().is_some() {}
        self.lookups.spawn(async move {
            let outcome = match timeout(LOOKUP_TIMEOUT, lookup(&name)).await {
                Ok(Ok(found)) => Ok(found.into_iter().take(MAX_LOOKED_UP).collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("the name server did not answer in time".into()),
            };
            let _ = arrivals.send(CoreInput::Input(Input::Resolved { name, outcome }));
        });
    }

    fn emit(&mut self, event: Event) {
        match event {
            Event::Message(delivered) => {
                let size = delivered.payload.len();
                let message = Received::new(delivered, self.orders.clone());
                self.hub.messages.push(&message, size);
                self.hub.appended.send_replace(());
            }
            Event::Request { from, id, payload } => {
                let (slot, arrivals) = (&self.hub.requests, &self.arrivals);
                self.answers.extend(self.serving.serve((from, id), payload, slot, arrivals));
            }
            Event::Validate { id, message } => {
                let message = Received::new(message, self.orders.clone());
                self.serving.validate(id, message, &self.hub.validator, &self.arrivals);
            }
            Event::RequestAbandoned { from, id } => self.serving.abandon(from, id),
            Event::Completed { ticket, outcome } => {
                if outcome == Outcome::Stopped {
                    self.goodbye = Goodbye::Heard(Instant::now() + SOCKET_FLUSH_TIMEOUT);
                }
                self.streams.handle_outcome(ticket, &outcome);
                if let Some((reply, _permit)) = self.waiting.remove(&ticket) {
                    let end = match outcome {
                        Outcome::Refused(why) => Err(why),
                        outcome => Ok(outcome),
                    };
                    // A caller that left changes nothing.
                    let _ = reply.send(end);
                }
            }
            Event::Stream { id, news } => self.streams.handle_news(id, news),
            other => {
                let Some(event) = NodeEvent::from_core(other, self.core.id()) else { return };
                tracing::debug!(node = %self.core.id().short(), "{event}");
                self.events.push(event);
            }
        }
    }

    /// What is done once for many inputs: signatures and the view. `quiet`: no input waits.
    fn finish_batch(&mut self, quiet: bool) {
        while !self.checks.is_empty() {
            let pool = VerifyPool::shared();
            let are_few = self.checks.len() <= INLINE_CHECKS;
            if !(quiet && are_few && self.checks.iter().all(Check::is_quick) && pool.is_idle()) {
                pool.submit(self.core.id(), std::mem::take(&mut self.checks), &self.arrivals);
                break;
            }
            for check in std::mem::take(&mut self.checks) {
                self.arrive(check.run());
            }
        }
        if self.next_view().is_some_and(|at| at <= Instant::now()) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.stale = false;
        let view = self.core.view(self.clock.now());
        let given_up = |view: &NodeView| view.counters.datagrams.batches_given_up;
        if given_up(&view) > given_up(&self.showing.last().view) {
            tracing::warn!(
                node = %self.core.id().short(),
                "batches of datagrams are lost on a path that single ones pass: they go one by \
                 one there now. If a network device here is to blame, \"udp_batches\": false \
                 spares the search, and `ethtool -K DEVICE tx-udp-segmentation off` mends it"
            );
        }
        let mapped = |view: &NodeView| view.nat.port_mapping.clone();
        let before = mapped(&self.showing.last().view);
        router::log(view.id, before.as_ref(), view.nat.port_mapping.as_ref());
        self.showing.show(Published {
            view,
            folder: self.storage.folder(),
            unsent: self.packets.as_ref().map(Packets::unsent).unwrap_or_default(),
            at: Instant::now(),
        });
        for event in self.events.drain(..) {
            self.hub.events.push(&event, 0);
        }
    }

    /// When to look at the core next: a look costs what there is to see, whoever caused it.
    fn next_view(&self) -> Option<Instant> {
        let last = || self.showing.last().at;
        match (self.events.len(), self.stale) {
            (0, false) => None,
            (0, true) => Some(self.showing.next()),
            (..MAX_UNTOLD_EVENTS, _) => Some(last() + EVENT_INTERVAL),
            _ => Some(last()),
        }
    }

    /// When to wake up if nothing happens.
    fn alarm(&self) -> Instant {
        let never = self.clock.timer(positron_proto::time::Instant::FAR_FUTURE);
        let core = self.core.poll_timeout().map_or(never, |(at, _)| self.clock.timer(at));
        let view = self.next_view().unwrap_or(never);
        let end = match self.goodbye {
            Goodbye::NotYet => never,
            Goodbye::Said(until) | Goodbye::Heard(until) => until,
        };
        core.min(view).min(end)
    }

    const fn is_staying(&self) -> bool {
        matches!(self.goodbye, Goodbye::NotYet)
    }

    fn is_over(&self) -> bool {
        match self.goodbye {
            Goodbye::NotYet => false,
            Goodbye::Said(until) => Instant::now() >= until,
            Goodbye::Heard(until) => self.is_flushed() || Instant::now() >= until,
        }
    }

    /// Whether every link has ended, and what was said last is with the kernel.
    fn is_flushed(&self) -> bool {
        let is_sent = self.packets.as_ref().is_none_or(Packets::is_all_sent);
        is_sent && self.links.is_empty() && !self.core.has_links()
    }

    /// The last thing: what is to be remembered is written.
    async fn end(mut self: Box<Self>) -> Result<(), ShutdownError> {
        let told = !matches!(self.goodbye, Goodbye::Said(_));
        self.publish();
        let storage = std::mem::take(&mut self.storage);
        self.links.shutdown().await;
        drop(self); // closes the socket of datagrams, and the feeds
        storage.close().await?;
        if told { Ok(()) } else { Err(ShutdownError::TimedOut) }
    }
}

async fn ready(packets: Option<&Packets>) {
    match packets {
        Some(packets) => packets.ready().await,
        None => std::future::pending().await,
    }
}

impl Drop for CoreTask {
    fn drop(&mut self) {
        self.hub.messages.close();
        // What it holds, perhaps a handle of this node, is let go.
        self.hub.requests.set(None);
        self.hub.validator.set(None);
        self.hub.events.close();
        // Who waits for a message asks, and hears that nobody answers.
        self.hub.appended.send_replace(());
    }
}
