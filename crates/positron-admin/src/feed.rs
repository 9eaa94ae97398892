//! Events for who listens: one ring, and for each listener a place in it.
//!
//! What is sent is a stream of server-sent events (HTML, 9.2): `id`, `event`, `data`, and a comment
//! when nothing happens. `data` is JSON whose keys come in a fixed order: `id`, `type`, `at`,
//! `age_s`, and what else there is to the event. A listener that comes back says the last id that
//! it saw and goes on behind it, a new one may ask for the newest that are kept. One that is too
//! slow, or away for too long, is told of the `gap`.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::body::{Body, Bytes};
use positron_networking::{Events, NodeEvent};
use positron_proto::shown::seconds;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};

use crate::{
    limits::{EVENT_CHUNK, EVENT_SILENCE, MAX_EVENT_BYTES, MAX_EVENTS, MAX_LISTENERS},
    moment::rfc3339,
};

/// The newest events, and who listens.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    /// The id of the next event. Listeners wait for it to change.
    next: watch::Sender<u64>,
    listeners: Arc<Semaphore>,
}

/// From where on a listener wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the event of this id.
    Behind(u64),
    /// So many that are kept, and then what comes.
    Newest(usize),
}

#[derive(Debug)]
struct Ring {
    /// Oldest first.
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The id of the first of this process.
    first: u64,
    next: u64,
}

/// An event as it is sent, but for its age.
#[derive(Debug)]
struct Entry {
    id: u64,
    happened: Instant,
    /// What comes in front of the age, and what behind it.
    head: String,
    tail: String,
}

impl Entry {
    fn new(id: u64, event: &NodeEvent) -> Self {
        // An event is an object: nothing else has a name to be sent under.
        let mut told = match serde_json::to_value(event) {
            Ok(Value::Object(told)) => told,
            _ => serde_json::Map::new(),
        };
        let kind = match told.remove("event") {
            Some(Value::String(kind)) => kind,
            _ => "event".to_owned(),
        };
        let at = rfc3339(SystemTime::now());
        let rest = Value::Object(told).to_string();
        let rest = rest.trim_start_matches('{');
        Self {
            id,
            happened: Instant::now(),
            head: format!(
                "id: {id}\nevent: {kind}\ndata: {{\"id\":{id},\"type\":\"{kind}\",\"at\":\"{at}\",\
                 \"age_s\":"
            ),
            tail: format!("{}{rest}\n\n", if rest == "}" { "" } else { "," }),
        }
    }

    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

impl Feed {
    /// Ids count up from the microsecond of the start: those of an earlier process are below all of
    /// this one, so that nobody who comes back takes one for the other.
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::beginning_at(u64::try_from(since.as_micros()).unwrap_or(1))
    }

    fn beginning_at(next: u64) -> Self {
        Self {
            ring: Mutex::new(Ring { entries: VecDeque::new(), bytes: 0, first: next, next }),
            next: watch::Sender::new(next),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
        }
    }

    /// Takes what happens until the node stops.
    pub(crate) async fn follow(self: Arc<Self>, mut events: Events) {
        let mut lost = 0;
        while let Some(event) = events.recv().await {
            let dropped = events.dropped();
            self.push(&event, dropped - lost);
            lost = dropped;
        }
    }

    /// Adds an event, behind `missed` ones that nobody saw.
    fn push(&self, event: &NodeEvent, missed: u64) {
        let mut ring = self.lock();
        ring.next += missed;
        let entry = Entry::new(ring.next, event);
        ring.next += 1;
        ring.bytes += entry.len();
        ring.entries.push_back(entry);
        while ring.entries.len() > MAX_EVENTS || ring.bytes > MAX_EVENT_BYTES {
            let Some(oldest) = ring.entries.pop_front() else { break };
            ring.bytes -= oldest.len();
        }
        let next = ring.next;
        drop(ring);
        self.next.send_replace(next);
    }

    /// A listener from `place` on. None if there are too many.
    pub(crate) fn listen(self: &Arc<Self>, place: Place) -> Option<Body> {
        let permit = Arc::clone(&self.listeners).try_acquire_owned().ok()?;
        let place = match place {
            Place::Behind(last) => last.saturating_add(1),
            Place::Newest(most) => self.lock().newest(most),
        };
        let listener = Listener {
            place,
            feed: Arc::clone(self),
            news: self.next.subscribe(),
            _permit: permit,
        };
        // What waits for a client is what is in here and what its connection took.
        let (to, chunks) = mpsc::channel(1);
        tokio::spawn(listener.tell(to));
        Some(Body::from_stream(Chunks(chunks)))
    }

    /// What is behind `place`, up to a chunk of it, and the place behind that.
    fn after(&self, place: u64) -> (Bytes, u64) {
        let ring = self.lock();
        let mut place = place;
        let mut told = String::new();
        if place > ring.next {
            // Of a process whose clock was ahead of this one's.
            place = ring.next;
            gap(&mut told, place.saturating_sub(1), None);
        }
        let from = ring.entries.partition_point(|entry| entry.id < place);
        for entry in ring.entries.range(from..) {
            if told.len() + entry.len() + LONGEST_AGE > EVENT_CHUNK {
                break;
            }
            if entry.id > place {
                // How many an earlier process told, nobody knows.
                let missed = (place >= ring.first).then_some(entry.id - place);
                gap(&mut told, entry.id - 1, missed);
            }
            let age = seconds(entry.happened.elapsed());
            // Writing to a string does not fail.
            let _ = write!(told, "{}{age}{}", entry.head, entry.tail);
            place = entry.id + 1;
        }
        (told.into(), place)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The place before the newest `most` of those that are kept.
    fn newest(&self, most: usize) -> u64 {
        let from = self.entries.len().saturating_sub(most);
        self.entries.get(from).map_or(self.next, |entry| entry.id)
    }
}

/// Characters of an age: 136 years in milliseconds.
const LONGEST_AGE: usize = 14;

/// Says that events are lost; who comes back with its id goes on behind them.
fn gap(told: &mut String, last: u64, missed: Option<u64>) {
    let missed = missed.map_or(Value::Null, Value::from);
    let data = format!("{{\"id\":{last},\"type\":\"gap\",\"missed\":{missed}}}");
    // Writing to a string does not fail.
    let _ = write!(told, "id: {last}\nevent: gap\ndata: {data}\n\n");
}

/// Somebody who listens.
#[derive(Debug)]
struct Listener {
    feed: Arc<Feed>,
    /// The first event that it has not been told.
    place: u64,
    news: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Tells until the client is gone. While it does not read, this waits and the ring goes on.
    async fn tell(mut self, to: mpsc::Sender<Bytes>) {
        // The client sees at once that it is heard.
        let mut silence = Bytes::from_static(b": here\n\n");
        loop {
            self.news.mark_unchanged();
            let (mut chunk, place) = self.feed.after(self.place);
            self.place = place;
            if chunk.is_empty() {
                chunk = std::mem::take(&mut silence);
            }
            if !chunk.is_empty() {
                if to.send(chunk).await.is_err() {
                    return;
                }
                continue;
            }
            tokio::select! {
                () = to.closed() => return,
                changed = timeout(EVENT_SILENCE, self.news.changed()) => match changed {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => silence = Bytes::from_static(b": still here\n\n"),
                },
            }
        }
    }
}

/// What is told, as the body of an answer.
#[derive(Debug)]
struct Chunks(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, mem::size_of};

    use axum::body::BodyDataStream;
    use futures_core::Stream as _;

    use super::*;

    fn event(reason: &str) -> NodeEvent {
        let addresses = "203.0.113.7".parse().unwrap();
        NodeEvent::AddressBanned { addresses, reason: reason.into(), until_unix_secs: 7 }
    }

    async fn chunk(of: &mut BodyDataStream) -> String {
        let chunk = poll_fn(|cx| Pin::new(&mut *of).poll_next(cx)).await.unwrap().unwrap();
        String::from_utf8(chunk.to_vec()).unwrap()
    }

    fn ids(told: &str) -> Vec<u64> {
        told.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
    }

    #[tokio::test]
    async fn who_stops_reading_costs_two_chunks_and_the_others_miss_nothing() {
        const EVENTS: u64 = 100_000;
        let feed = Arc::new(Feed::beginning_at(1));
        let mut readers: Vec<_> = (1..MAX_LISTENERS)
            .map(|_| feed.listen(Place::Newest(0)).unwrap().into_data_stream())
            .collect();
        let mut stopped = feed.listen(Place::Newest(0)).unwrap().into_data_stream();
        assert!(feed.listen(Place::Newest(0)).is_none());
        for reader in &mut readers {
            assert_eq!(chunk(reader).await, ": here\n\n");
        }
        let mut told = vec![0; readers.len()];
        let reason = "r".repeat(200);
        for n in 1..=EVENTS {
            feed.push(&event(&reason), 0);
            if n % 200 == 0 {
                for (reader, told) in readers.iter_mut().zip(&mut told) {
                    while *told < n {
                        for id in ids(&chunk(reader).await) {
                            assert_eq!(id, *told + 1, "in order, and all of them");
                            *told = id;
                        }
                    }
                }
            }
            let ring = feed.lock();
            let held = ring.bytes + ring.entries.len() * size_of::<Entry>();
            assert!(ring.entries.len() <= MAX_EVENTS && ring.bytes <= MAX_EVENT_BYTES);
            assert!(held <= 2 * MAX_EVENT_BYTES, "{held}");
        }
        // What waits for the one that stopped is one chunk here and one on its way.
        let mut waited = 0;
        loop {
            let told = chunk(&mut stopped).await;
            assert!(told.len() <= EVENT_CHUNK + 200, "{}", told.len());
            if told.contains("event: gap") {
                break;
            }
            waited += told.len();
        }
        assert!(waited <= 2 * EVENT_CHUNK, "{waited}");
    }

    #[tokio::test]
    async fn what_the_node_itself_lost_is_a_gap_for_everyone() {
        let feed = Arc::new(Feed::beginning_at(7));
        let mut reader = feed.listen(Place::Newest(0)).unwrap().into_data_stream();
        assert_eq!(chunk(&mut reader).await, ": here\n\n");
        feed.push(&event("a\nb: c"), 3);
        let told = chunk(&mut reader).await;
        let gap = "id: 9\nevent: gap\ndata: {\"id\":9,\"type\":\"gap\",\"missed\":3}\n\n";
        assert!(told.starts_with(gap), "{told}");
        assert!(told.contains("id: 10\nevent: address_banned\ndata: {"), "{told}");
        assert_eq!(told.matches("\n\n").count(), 2, "a text begins no event: {told}");
        // Who was told of the gap and comes back is not told again.
        let mut again = feed.listen(Place::Behind(9)).unwrap().into_data_stream();
        let told = chunk(&mut again).await;
        assert!(told.starts_with("id: 10\n"), "{told}");
    }
}
