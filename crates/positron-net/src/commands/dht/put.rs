//! `positron-net dht put`: stores a value under a key.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStringExt as _,
    path::PathBuf,
    time::Duration,
};

use base64ct::{Base64, Encoding as _};
use clap::Args;
use positron_proto::limits::MAX_VALUE;
use serde_json::{Value, json};

use super::key::key;
use crate::{
    failure::{Exit, Failure},
    global::Global,
    lasting::ttl,
    running::Running,
    settings::NodeSelector,
    terminal::{Terminal, sanitised},
};

/// Stores a value of at most 16 KiB under a key, and says how many other nodes keep it. The node
/// renews it for as long as it runs. Bytes are stored as they are.
#[derive(Args, Debug)]
pub(crate) struct PutOptions {
    /// The key: 1 to 1,024 bytes of text. None with --immutable, where the value names itself
    #[arg(value_name = "KEY")]
    first: OsString,
    /// The value; - reads it from the standard input
    #[arg(value_name = "VALUE", conflicts_with = "file")]
    second: Option<OsString>,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How long it lives if this node does not renew it, 60 s to 48 h: 90s, 30m, 2h, or seconds
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ttl,
          allow_hyphen_values = true)]
    ttl: Duration,
    /// Nobody but this node can store under this key; others read it with its id
    #[arg(long, conflicts_with = "immutable")]
    owned: bool,
    /// The key is the hash of the value, and is printed: nobody can change it
    #[arg(long)]
    immutable: bool,
    /// The value is JSON, and is stored as MessagePack, as `dht_store` of the library does
    #[arg(long, conflicts_with = "immutable")]
    msgpack: bool,
    /// Fail, if fewer other nodes than this keep it
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=8))]
    holders: Option<u8>,
    #[command(flatten)]
    selector: NodeSelector,
}

impl PutOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let order = self.order()?;
        let running = Running::of(&self.selector, terminal)?;
        let stored: Value = running.post("/v1/dht/put", &order)?;
        if global.json {
            terminal.document(&stored)?;
            return Ok(Exit::Ok);
        }
        let sentence = sanitised(stored["sentence"].as_str().unwrap_or_default());
        if self.immutable {
            terminal.data(sanitised(stored["key"].as_str().unwrap_or_default()))?;
            terminal.message(format_args!("stored: {sentence}"));
        } else {
            terminal.data(format_args!("stored: {sentence}"))?;
        }
        Ok(Exit::Ok)
    }

    /// What the node is asked.
    fn order(&self) -> Result<Value, Failure> {
        let (name, value) = match (self.immutable, &self.second, &self.file) {
            (false, Some(value), _) => (Some(&self.first), self.value(value)?),
            (false, None, Some(file)) => (Some(&self.first), from_file(file)?),
            (true, None, None) => (None, self.value(&self.first)?),
            (false, None, None) => {
                return Err(Failure::new(Exit::Usage, "a value is missing")
                    .try_this("positron-net dht put KEY VALUE, or - for the standard input"));
            }
            (true, ..) => {
                return Err(Failure::new(Exit::Usage, "what is immutable has no key of its own")
                    .because("its key is the hash of the value, and is printed")
                    .try_this(
                        "positron-net dht put --immutable VALUE, or - for the standard input",
                    ));
            }
        };
        let mut order = json!({ "ttl_s": self.ttl.as_secs(), "kind": self.kind() });
        if let Some(name) = name {
            let unfit = |why: String| Failure::new(Exit::Usage, "that is no key").because(why);
            let text = name.to_str().ok_or_else(|| unfit("a key is text, in UTF-8".to_owned()))?;
            order["key"] = key(text).map_err(unfit)?.into();
        }
        if let Some(holders) = self.holders {
            order["holders"] = holders.into();
        }
        if self.msgpack {
            order["value"] = serde_json::from_slice(&value).map_err(|why| {
                Failure::new(Exit::Usage, "with --msgpack the value is JSON").because(why)
            })?;
        } else {
            order["base64"] = Base64::encode_string(&value).into();
        }
        Ok(order)
    }

    const fn kind(&self) -> &'static str {
        match (self.owned, self.immutable) {
            (true, _) => "owned",
            (_, true) => "immutable",
            (false, false) => "shared",
        }
    }

    fn value(&self, said: &OsString) -> Result<Vec<u8>, Failure> {
        if said == "-" {
            return bounded(io::stdin().lock(), self.longest())
                .map_err(|why| unreadable("the standard input", &why))?
                .ok_or_else(too_large);
        }
        let value = said.clone().into_vec();
        if value.len() > self.longest() { Err(too_large()) } else { Ok(value) }
    }

    /// The most bytes that are read: JSON may be longer than what it says.
    const fn longest(&self) -> usize {
        if self.msgpack { LONGEST_JSON } else { MAX_VALUE }
    }
}

fn from_file(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let read = File::open(path).and_then(|file| bounded(file, MAX_VALUE));
    read.map_err(|why| unreadable(&path.display().to_string(), &why))?.ok_or_else(too_large)
}

/// Everything there is, if it is no more than that.
fn bounded(from: impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    from.take(one_more).read_to_end(&mut value)?;
    Ok(Some(value).filter(|value| value.len() <= most))
}

fn too_large() -> Failure {
    Failure::new(Exit::Usage, "the value is too large")
        .because(format!("a value of the hash table has at most {MAX_VALUE} bytes"))
        .try_this("store where it is instead, or its parts under keys of their own")
}

fn unreadable(what: &str, why: &io::Error) -> Failure {
    Failure::new(Exit::Storage, format!("cannot read {what}")).because(why)
}

/// Bytes of JSON that are read: what the node takes in one question, less what is around it.
const LONGEST_JSON: usize = 60 * 1024;
