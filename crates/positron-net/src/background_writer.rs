//! The way to stderr and to the log file. Nobody waits for whoever reads there, and it is bounded.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Pieces that wait for a reader who is slow, a line each or what is drawn; others are counted.
const MAX_WAITING: usize = 1024;
/// Bytes of them.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Time that what was said last has to be read, at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Text on its way out, by a thread of its own: a pipe that nobody reads makes only that thread
/// wait. When this is dropped, the thread writes what waits, and ends.
#[derive(Debug)]
pub(crate) struct BackgroundWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: Vec<String>,
    bytes: usize,
    /// Pieces that found no room since this was told last.
    lost: u64,
    is_writing: bool,
    is_over: bool,
}

impl BackgroundWriter {
    /// Begins to write with `write`, which may wait. `missing` says that so many pieces were lost.
    pub(crate) fn new(
        name: &str,
        write: impl FnMut(&str) + Send + 'static,
        missing: impl Fn(u64) -> String + Send + 'static,
    ) -> Self {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        let run = move || writer.write_all(write, missing);
        // Without a thread nothing is written and nothing waits: the process has worse problems.
        let _ = thread::Builder::new().name(name.into()).spawn(run);
        Self(shared)
    }

    /// Writes this in its turn.
    pub(crate) fn write(&self, piece: String) {
        let mut waiting = self.0.lock();
        let has_room = waiting.bytes + piece.len() <= MAX_WAITING_BYTES;
        if has_room && waiting.pieces.len() < MAX_WAITING {
            waiting.bytes += piece.len();
            waiting.pieces.push(piece);
            self.0.changed.notify_all();
        } else {
            waiting.lost += 1;
        }
    }

    /// Waits until all of it is written, but not for a reader who reads nothing.
    pub(crate) fn flush(&self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.pieces.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), FLUSH_TIMEOUT, is_busy);
        drop(waited);
    }
}

impl Drop for BackgroundWriter {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut write: impl FnMut(&str), missing: impl Fn(u64) -> String) {
        loop {
            let nothing = |waiting: &mut Waiting| waiting.pieces.is_empty() && !waiting.is_over;
            let waited = self.changed.wait_while(self.lock(), nothing);
            let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
            let pieces = std::mem::take(&mut waiting.pieces);
            if pieces.is_empty() {
                return;
            }
            let lost = std::mem::take(&mut waiting.lost);
            (waiting.bytes, waiting.is_writing) = (0, true);
            drop(waiting);
            pieces.iter().for_each(|piece| write(piece));
            if lost > 0 {
                write(&missing(lost));
            }
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};

    use super::*;

    #[test]
    fn who_reads_late_gets_what_found_room_and_is_told_what_did_not() {
        let (mut reader, mut pipe) = io::pipe().unwrap();
        let write = move |piece: &str| pipe.write_all(piece.as_bytes()).unwrap();
        let writer = BackgroundWriter::new("test", write, |lost| format!("({lost} are missing)"));
        let (line, count) = ("x".repeat(127) + "\n", 4 * MAX_WAITING);
        (0..count).for_each(|_| writer.write(line.clone()));
        // Nobody reads: the pipe is full, and so is what waits for it.
        writer.flush();
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while !text.contains("missing") {
            let read = reader.read(&mut bytes).unwrap();
            text.push_str(core::str::from_utf8(&bytes[..read]).unwrap());
        }
        let lines = text.lines().filter(|line| line.starts_with('x')).count();
        let told = format!("({} are missing)", count - lines);
        assert!(text.contains(&told), "{lines} lines and {}", text.len());
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let (held, hold) = std::sync::mpsc::channel::<()>();
        let (begin, began) = std::sync::mpsc::channel();
        let write = move |_: &str| {
            begin.send(()).unwrap_or(());
            while hold.recv().is_ok() {}
        };
        let writer = BackgroundWriter::new("test", write, |lost| lost.to_string());
        writer.write("is written as long as the test holds it".into());
        began.recv().unwrap();
        let piece = "x".repeat(MAX_WAITING_BYTES / 4);
        (0..16).for_each(|_| writer.write(piece.clone()));
        let waiting = writer.0.lock();
        assert_eq!((waiting.bytes, waiting.lost), (MAX_WAITING_BYTES, 12));
        drop(waiting);
        drop(held);
    }

    #[test]
    fn who_lets_go_has_everything_written_first() {
        let (told, heard) = std::sync::mpsc::channel();
        let write = move |piece: &str| told.send(piece.to_owned()).unwrap();
        let writer = BackgroundWriter::new("test", write, |lost| lost.to_string());
        (0..9).for_each(|n| writer.write(n.to_string()));
        drop(writer);
        // The end of the thread ends the channel.
        assert_eq!(heard.iter().collect::<String>(), "012345678");
    }
}
