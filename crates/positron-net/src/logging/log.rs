//! The log of this process.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use positron_networking::LogFormat;
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    registry::Registry,
    reload,
    util::SubscriberInitExt as _,
};

use super::{
    entry::Entry,
    file::{LogFile, could_be},
    kinds::Kinds,
    recent::{LogLine, Recent},
};
use crate::{
    background_writer::BackgroundWriter,
    failure::{Exit, Failure},
    terminal::Terminal,
};

/// Whose events are logged at the level that is wanted; of others, warnings at most.
const OURS: [&str; 5] =
    ["positron_net", "positron_networking", "positron_store", "positron_proto", "positron_admin"];
/// The place in the code of what the command itself says.
const COMMAND: &str = "positron_net";

/// How to log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    /// Nothing less grave.
    pub level: LevelFilter,
    /// What a line looks like.
    pub format: LogFormat,
}

impl LogOptions {
    /// For people.
    pub(crate) const fn text(level: LevelFilter) -> Self {
        Self { level, format: LogFormat::Text }
    }
}

/// The log of this process: what it says, where to, and what it said last. A handle.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    format: LogFormat,
    filter: reload::Handle<Targets, Registry>,
    level: Mutex<LevelFilter>,
    kinds: Kinds,
    recent: Mutex<Recent>,
    terminal: Arc<Terminal>,
    file: Mutex<Option<(PathBuf, BackgroundWriter)>>,
}

impl Log {
    /// Begins to log on stderr. To be called once.
    pub(crate) fn start(terminal: &Arc<Terminal>, options: LogOptions) -> Result<Self, Failure> {
        let (log, subscriber) = Self::new(terminal, options);
        subscriber
            .try_init()
            .map_err(|error| Failure::new(Exit::Internal, "cannot begin to log").because(error))?;
        if options.format == LogFormat::Json {
            terminal.speak_as(|level, text| Entry::new(level, COMMAND, text.to_owned()).json());
            tell_panics();
        }
        let telling = log.clone();
        let tell = move || loop {
            telling.0.kinds.overdue().iter().for_each(|entry| telling.0.say(entry));
        };
        let told = thread::Builder::new().name("log".into()).spawn(tell);
        told.map_err(|error| {
            Failure::new(Exit::Internal, "the operating system gives no threads").because(error)
        })?;
        Ok(log)
    }

    /// The log, and what fills it.
    fn new(
        terminal: &Arc<Terminal>,
        options: LogOptions,
    ) -> (Self, impl Subscriber + Send + Sync + use<>) {
        let LogOptions { level, format } = options;
        let (filter, handle) = reload::Layer::new(targets(level));
        let log = Self(Arc::new(Shared {
            format,
            filter: handle,
            level: Mutex::new(level),
            kinds: Kinds::default(),
            recent: Mutex::default(),
            terminal: Arc::clone(terminal),
            file: Mutex::new(None),
        }));
        let subscriber = tracing_subscriber::registry().with(filter).with(Writer(log.clone()));
        (log, subscriber)
    }

    /// What is logged.
    pub(crate) fn level(&self) -> LevelFilter {
        *locked(&self.0.level)
    }

    /// Logs at this level from the next event on, and says so at any level.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        let mut current = locked(&self.0.level);
        // It fails only if nothing is logged any more.
        let _ = self.0.filter.reload(targets(level));
        let before = std::mem::replace(&mut *current, level);
        drop(current);
        let message = format!("the log level is {level} from here on; it was {before}");
        self.0.say(&Entry::new(Level::INFO, COMMAND, message));
    }

    /// The last lines, oldest first: at most 512, and half a mebibyte of text.
    pub(crate) fn recent(&self) -> Vec<LogLine> {
        locked(&self.0.recent).lines()
    }

    /// Makes sure, as far as can be known, that [`also_to`](Self::also_to) will work, and changes
    /// nothing. The file may be in a folder that is still to come: `folder`.
    pub(crate) fn could_be(path: &Path, folder: &Path) -> Result<(), Failure> {
        could_be(path, folder)
    }

    /// Logs to this file, too, from now on.
    pub(crate) fn also_to(&self, path: &Path) -> Result<(), Failure> {
        let missing = self.missing();
        let mut file = LogFile::open(path, missing)?;
        let write = move |line: &str| file.line(line);
        let missing = move |lines| missing(lines, "nobody read them") + "\n";
        let writer = BackgroundWriter::new("log-file", write, missing);
        *locked(&self.0.file) = Some((path.to_owned(), writer));
        Ok(())
    }

    /// Opens the log file anew, if there is one: it may have been moved away. Otherwise nothing.
    pub(crate) fn reopen(&self) {
        let path = locked(&self.0.file).as_ref().map(|(path, _)| path.clone());
        if let Some(Err(failure)) = path.map(|path| self.also_to(&path)) {
            tracing::warn!("{failure}; the log goes on in the file that was open");
        }
    }

    /// Lets the log file have what was said last. To be called at the end.
    pub(crate) fn flush(&self) {
        self.0.kinds.rest().iter().for_each(|entry| self.0.say(entry));
        if let Some((_, writer)) = &*locked(&self.0.file) {
            writer.flush();
        }
    }

    fn missing(&self) -> fn(u64, &str) -> String {
        match self.0.format {
            LogFormat::Text => |lines, why| format!("({lines} lines are missing here: {why})"),
            LogFormat::Json => |lines, why| {
                let message = format!("{lines} lines are missing here: {why}");
                Entry::new(Level::WARN, COMMAND, message).json()
            },
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level()).finish_non_exhaustive()
    }
}

impl Shared {
    fn say(&self, entry: &Entry) {
        locked(&self.recent).push(entry);
        let line = match self.format {
            LogFormat::Text => entry.text(),
            LogFormat::Json => entry.json(),
        };
        if let Some((_, writer)) = &*locked(&self.file) {
            writer.write(line.clone());
        }
        self.terminal.print(line);
    }
}

/// What the program logs, on its way to the [`Log`].
struct Writer(Log);

impl<S: Subscriber> Layer<S> for Writer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Self(Log(log)) = self;
        let entry = Entry::of(event);
        let place = event.metadata().callsite();
        if let Some(notice) = log.kinds.admit(place, &entry, Instant::now()) {
            notice.iter().for_each(|notice| log.say(notice));
            log.say(&entry);
        }
    }
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)))
}

/// A panic is one line, as all else is.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::error!("a bug: {panic}")));
}

/// What is locked here is whole between two steps, whatever happened to who took them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Color;

    fn heard(log: &Log) -> Vec<String> {
        log.recent().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_level_changes_while_the_program_runs() {
        let terminal = Arc::new(Terminal::new(Color::Never, true));
        let (log, subscriber) = Log::new(&terminal, LogOptions::text(LevelFilter::WARN));
        tracing::subscriber::with_default(subscriber, || {
            // One place in the code, so that what it remembers of itself is what changes.
            let say = |n| {
                tracing::debug!(n, "said");
                tracing::debug!(target: "somebody_elses", n, "said");
            };
            say(1);
            log.set_level(LevelFilter::DEBUG);
            say(2);
            log.set_level(LevelFilter::OFF);
            say(3);
            tracing::error!("nor this");
        });
        let heard = heard(&log);
        assert_eq!(heard.len(), 3, "{heard:?}");
        assert_eq!(heard[0], "the log level is debug from here on; it was warn");
        assert_eq!(heard[1], "said n=2");
        assert_eq!(heard[2], "the log level is off from here on; it was debug");
        assert_eq!(log.level(), LevelFilter::OFF);
    }

    #[test]
    fn things_that_one_place_says_do_not_hide_one_another() {
        let terminal = Arc::new(Terminal::new(Color::Never, true));
        let (log, subscriber) = Log::new(&terminal, LogOptions::text(LevelFilter::INFO));
        tracing::subscriber::with_default(subscriber, || {
            let say = |event: &str| tracing::info!(event, "told");
            (0..1000).for_each(|_| say("peer_left"));
            say("peer_banned");
        });
        log.flush();
        let heard = heard(&log);
        let left = heard.iter().filter(|text| text.ends_with("event=peer_left")).count();
        let withheld = heard.iter().filter_map(|text| text.strip_prefix("withheld "));
        let withheld = withheld.map(|text| text.split(' ').next().unwrap().parse::<usize>());
        let withheld: usize = withheld.map(Result::unwrap).sum();
        assert_eq!(left + withheld, 1000, "{heard:?}");
        assert!(heard.contains(&"told event=peer_banned".to_owned()), "{heard:?}");
    }
}
