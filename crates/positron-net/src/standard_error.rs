//! The way to stderr. It never waits for whoever reads there, and is bounded.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Pieces that wait for a reader who is slow, a line each or what is drawn; others are counted.
const MAX_WAITING: usize = 1024;
/// Time that what was said last has to be read, at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Text on its way to stderr, by a thread of its own: a pipe that nobody reads makes only that
/// thread wait.
#[derive(Debug)]
pub(crate) struct StandardError(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: Vec<String>,
    /// Pieces that found no room since this was told last.
    lost: u64,
    is_writing: bool,
}

impl StandardError {
    /// Begins to write to `out`.
    pub(crate) fn new(out: impl io::Write + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        let write = move || writer.write_all(out);
        // Without a thread nothing is written and nothing waits: the process has worse problems.
        let _ = thread::Builder::new().name("standard-error".into()).spawn(write);
        Self(shared)
    }

    /// Writes this in its turn.
    pub(crate) fn write(&self, piece: String) {
        let mut waiting = self.0.lock();
        if waiting.pieces.len() < MAX_WAITING {
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl io::Write) {
        loop {
            let nothing = |waiting: &mut Waiting| waiting.pieces.is_empty();
            let waited = self.changed.wait_while(self.lock(), nothing);
            let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
            let pieces = std::mem::take(&mut waiting.pieces);
            let lost = std::mem::take(&mut waiting.lost);
            waiting.is_writing = true;
            drop(waiting);
            // Nobody is left to be told when stderr is gone.
            for piece in pieces {
                let _ = out.write_all(piece.as_bytes());
            }
            if lost > 0 {
                let _ = writeln!(out, "({lost} lines are missing here: nobody read them)");
            }
            let _ = out.flush();
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn who_reads_late_gets_what_found_room_and_is_told_what_did_not() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stderr = StandardError::new(writer);
        let (line, count) = ("x".repeat(127) + "\n", 4 * MAX_WAITING);
        (0..count).for_each(|_| stderr.write(line.clone()));
        // Nobody reads: the pipe is full, and so is what waits for it.
        stderr.flush();
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while !text.contains("missing") {
            let read = reader.read(&mut bytes).unwrap();
            text.push_str(core::str::from_utf8(&bytes[..read]).unwrap());
        }
        let lines = text.lines().filter(|line| line.starts_with('x')).count();
        let told = format!("({} lines are missing here", count - lines);
        assert!(text.contains(&told), "{lines} lines and {}", text.len());
    }
}
