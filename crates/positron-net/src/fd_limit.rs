//! File descriptors: each link is one, each node needs a few more, and systems begin with few.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors of one node among many in one process: its links, its listener, its database.
const PER_NODE: u64 = 16;
/// Descriptors of the process itself.
const OTHERS: u64 = 64;

/// Lets this process have as many as it may, and tells how many that are; `None`: no limit.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    if limit.current == most {
        return most;
    }
    let wanted = rustix::process::Rlimit { current: most, maximum: most };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => most,
        // Then it stays as it is.
        Err(_) => limit.current,
    }
}

/// Why `nodes` nodes in this process may be too many, in words.
pub(crate) fn too_few_for(nodes: usize) -> Option<String> {
    let most = raise()?;
    let needed = OTHERS + PER_NODE * nodes as u64;
    (most < needed).then(|| {
        format!(
            "{nodes} nodes may need {needed} file descriptors, and this process may have {most}: \
             links will fail; raise it with `ulimit -n`"
        )
    })
}
