//! From where a node is told what to do: flag, environment, file, default, in this order.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use positron_admin::ConfigValue;
use positron_networking::{
    ConfigError, CongestionAlgorithm, LogFormat, NetworkConfig, TransportPolicy,
    keys::{self, BadPassphrase, Passphrase},
};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    home::expanded,
    logging::{LogOptions, parse_level},
    terminal::Terminal,
};

/// Where a node keeps its keys and its database when nobody says otherwise.
pub(crate) const DEFAULT_DATA_DIR: &str = "node_data";
/// Bytes in a configuration file; more is something else.
const MAX_FILE: u64 = 1 << 20;
/// What is written before a key's name in the environment.
const PREFIX: &str = "POSITRON_";
/// Holds the passphrase of the key file.
pub(crate) const PASSPHRASE_VARIABLE: &str = "POSITRON_KEY_PASSPHRASE";
/// Names the configuration file.
const CONFIG_VARIABLE: &str = "POSITRON_CONFIG";

/// Who said what a key is, of those that somebody said.
type Origins = BTreeMap<String, &'static str>;

/// Which node of this machine is meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NodeSelector {
    /// Configuration file [default: $POSITRON_CONFIG, ./positron.json,
    /// ~/.config/positron/config.json, /etc/positron/config.json]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the node keeps its keys and its database [default: node_data]
    #[arg(long, short, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// How a node is run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NodeOptions {
    /// Which node.
    #[command(flatten)]
    pub selector: NodeSelector,
    /// IP address to listen on: `::` is all, of both families, `0.0.0.0` all of IPv4 [default: ::]
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on, 0 for a free one [default: 8888]
    #[arg(long, short)]
    pub port: Option<u16>,
    /// auto (UDP, and TCP where UDP is blocked), udp or tcp [default: auto]
    #[arg(long, value_name = "TRANSPORT")]
    pub transport: Option<TransportPolicy>,
    /// How links over UDP find out how much may be in flight: newreno, cubic or bbr
    /// [default: newreno]
    #[arg(long, value_name = "CONTROL")]
    pub congestion_control: Option<CongestionAlgorithm>,
    /// Nodes to begin with; may be repeated
    #[arg(long, short, value_name = "HOST:PORT", value_delimiter = ',')]
    pub bootstrap: Vec<String>,
    /// Take no path through a relay: nodes that only a relay leads to are not reached
    #[arg(long, conflicts_with = "relay_only")]
    pub direct_only: bool,
    /// Tell nobody where this node is: dial only bootstrap nodes and reserved peers, and reach
    /// others through those
    #[arg(long)]
    pub relay_only: bool,
    /// Ask the router, by PCP or NAT-PMP, to let strangers in at the port
    #[arg(long, conflicts_with = "relay_only")]
    pub map_port: bool,
    /// DEBUG, INFO, WARNING or ERROR [default: INFO]
    #[arg(long, short, value_name = "LEVEL", value_parser = level_name)]
    pub log_level: Option<String>,
    /// Where the admin API and the page are, for whoever has the token, such as 127.0.0.1:9777
    /// [default: only the socket in the data folder]
    #[arg(long, value_name = "IP:PORT")]
    pub api: Option<SocketAddr>,
    /// Let --api be an address that other machines reach: everything, the token too, crosses the
    /// network in clear text
    #[arg(long)]
    pub api_in_clear_text: bool,
    /// text, or json: an object a line, on stderr and in the log file [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = format_name)]
    pub log_format: Option<LogFormat>,
    /// The name of the network: nodes of different networks refuse each other [default: positron]
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
}

/// What came out of all sources.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Valid.
    pub config: NetworkConfig,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Each key, and who said what it is.
    pub told: Vec<ConfigValue>,
}

impl Settings {
    /// Where the node keeps its keys and its database.
    pub(crate) fn data_dir(&self) -> &Path {
        self.config.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR))
    }

    /// What the key of the node is encrypted under, as far as it is told.
    pub(crate) fn key_passphrase(&self) -> Result<Option<Passphrase>, Failure> {
        let of_file = || self.config.key_passphrase_file.as_deref().map(keys::passphrase);
        match passphrase_of_environment()? {
            Some(passphrase) => Ok(Some(passphrase)),
            None => of_file().transpose().map_err(|error| {
                Failure::new(Exit::Storage, "there is no passphrase").because(error)
            }),
        }
    }

    /// What to log, and how.
    pub(crate) fn log(&self, global: Global) -> LogOptions {
        let level = log_level(&self.config.log_level, global);
        LogOptions { level, format: self.config.log_format }
    }
}

/// The passphrase in the environment, where no key of the configuration is meant: it is never
/// shown or written down.
pub(crate) fn passphrase_of_environment() -> Result<Option<Passphrase>, Failure> {
    let Some(value) = env::var_os(PASSPHRASE_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.into_string().map_err(|_| BadPassphrase::NotText);
    text.and_then(Passphrase::new).map(Some).map_err(|error| {
        let what = format!("the environment variable {PASSPHRASE_VARIABLE} is wrong");
        Failure::new(Exit::Configuration, what).because(error)
    })
}

/// What to log, all flags heeded.
pub(crate) fn log_level(usual: &str, global: Global) -> LevelFilter {
    let level = parse_level(usual).unwrap_or(LevelFilter::INFO);
    match (global.quiet, global.verbose) {
        (true, _) => level.min(LevelFilter::ERROR),
        (false, 0) => level,
        (false, 1) => level.max(LevelFilter::DEBUG),
        (false, _) => LevelFilter::TRACE,
    }
}

impl NodeSelector {
    /// The settings of this node.
    pub(crate) fn settings(&self, terminal: &Terminal) -> Result<Settings, Failure> {
        NodeOptions { selector: self.clone(), ..NodeOptions::default() }.settings(terminal)
    }
}

impl NodeOptions {
    /// The settings of this node: flag, environment, file, default.
    pub(crate) fn settings(&self, terminal: &Terminal) -> Result<Settings, Failure> {
        let file = find_file(self.selector.config.as_deref())?;
        let mut origins = Origins::default();
        let config = match &file {
            Some(path) => read_file(path, &mut origins)?,
            None => NetworkConfig::default(),
        };
        let variables = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?.strip_prefix(PREFIX)?.to_owned(), value))
        });
        let mut config = with_environment(config, variables, &mut origins, terminal)?;
        self.apply(&mut config);
        let flags = self.flags().into_iter().filter(|(_, _, given)| *given);
        origins.extend(flags.map(|(_, key, _)| (key.to_owned(), "command line")));
        expand_paths(&mut config)?;
        config.validate().map_err(|error| {
            let place = file.as_ref().map(|path| format!(" ({})", path.display()));
            let what = format!("the configuration{} is wrong", place.unwrap_or_default());
            Failure::new(Exit::Configuration, what).because(error)
        })?;
        if self.api_in_clear_text && config.api_listen.is_none() {
            let what = "--api-in-clear-text says how, and nothing says where";
            return Err(Failure::new(Exit::Usage, what).try_this("add --api IP:PORT"));
        }
        let told = told(&config, &origins)?;
        Ok(Settings { config, file, told })
    }

    /// A flag that only a node heeds that is being started, if one was given.
    pub(crate) fn flag_of_a_start(&self) -> Option<&'static str> {
        let whose = ["--network", "--data-dir"];
        let mut flags = self.flags().into_iter();
        flags.find(|(flag, _, given)| *given && !whose.contains(flag)).map(|(flag, _, _)| flag)
    }

    /// Each flag, the key that it sets, and whether it was given.
    fn flags(&self) -> [(&'static str, &'static str, bool); 14] {
        let Self {
            selector,
            host,
            port,
            transport,
            congestion_control,
            bootstrap,
            direct_only,
            relay_only,
            map_port,
            log_level,
            log_format,
            api,
            api_in_clear_text,
            network,
        } = self;
        [
            ("--host", "host", host.is_some()),
            ("--port", "port", port.is_some()),
            ("--transport", "transport", transport.is_some()),
            ("--congestion-control", "congestion_control", congestion_control.is_some()),
            ("--bootstrap", "bootstrap_nodes", !bootstrap.is_empty()),
            ("--direct-only", "direct_only", *direct_only),
            ("--relay-only", "relay_only", *relay_only),
            ("--map-port", "map_port", *map_port),
            ("--log-level", "log_level", log_level.is_some()),
            ("--log-format", "log_format", log_format.is_some()),
            ("--api", "api_listen", api.is_some()),
            ("--api-in-clear-text", "api_in_clear_text", *api_in_clear_text),
            ("--network", "network", network.is_some()),
            ("--data-dir", "data_dir", selector.data_dir.is_some()),
        ]
    }

    /// Flags win.
    fn apply(&self, config: &mut NetworkConfig) {
        if let Some(host) = &self.host {
            config.host.clone_from(host);
        }
        if let Some(port) = self.port {
            config.port = port;
        }
        if let Some(transport) = self.transport {
            config.transport = transport;
        }
        if let Some(control) = self.congestion_control {
            config.congestion_control = control;
        }
        if !self.bootstrap.is_empty() {
            let wanted = self.bootstrap.iter().map(|address| address.trim().to_owned());
            config.bootstrap_nodes = wanted.filter(|address| !address.is_empty()).collect();
        }
        if self.direct_only || self.relay_only {
            (config.direct_only, config.relay_only) = (self.direct_only, self.relay_only);
        }
        config.map_port |= self.map_port;
        if let Some(level) = &self.log_level {
            config.log_level.clone_from(level);
        }
        if let Some(api) = self.api {
            config.api_listen = Some(api);
        }
        config.api_in_clear_text |= self.api_in_clear_text;
        if let Some(format) = self.log_format {
            config.log_format = format;
        }
        if let Some(network) = &self.network {
            config.network.clone_from(network);
        }
        if let Some(folder) = &self.selector.data_dir {
            config.data_dir = Some(folder.clone());
        }
        config.data_dir.get_or_insert_with(|| DEFAULT_DATA_DIR.into());
    }
}

/// Every key with what it is and who said so.
fn told(config: &NetworkConfig, origins: &Origins) -> Result<Vec<ConfigValue>, Failure> {
    // A path that is not UTF-8 must not keep anybody from the rest.
    let mut shown = config.clone();
    for (_, path) in paths(&mut shown) {
        *path = path.take().map(|path| path.to_string_lossy().into_owned().into());
    }
    let keys = as_object(&shown)?.into_iter();
    Ok(keys
        .map(|(key, value)| {
            let origin = origins.get(&key).copied().unwrap_or("default").to_owned();
            ConfigValue { key, value, origin }
        })
        .collect())
}

/// A `~` means the home folder, wherever a path was written: only a shell would know it otherwise,
/// and none reads a file, an environment or `--data-dir=~/x`.
fn expand_paths(config: &mut NetworkConfig) -> Result<(), Failure> {
    for (key, path) in paths(config) {
        *path = path.take().map(|path| expanded(key, path)).transpose()?;
    }
    Ok(())
}

/// Every key that is a path.
fn paths(config: &mut NetworkConfig) -> [(&'static str, &mut Option<PathBuf>); 6] {
    let NetworkConfig {
        data_dir,
        log_file,
        private_key_path,
        key_passphrase_file,
        public_key_path,
        db_path,
        ..
    } = config;
    [
        ("data_dir", data_dir),
        ("log_file", log_file),
        ("private_key_path", private_key_path),
        ("key_passphrase_file", key_passphrase_file),
        ("public_key_path", public_key_path),
        ("db_path", db_path),
    ]
}

/// The configuration file: one that is named must be there, the usual places may be empty.
fn find_file(named: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = named {
        return expanded("--config", path.to_owned()).map(Some);
    }
    if let Some(path) = env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        return expanded(CONFIG_VARIABLE, path.into()).map(Some);
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let user = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let places = [
        Some(PathBuf::from("positron.json")),
        user.map(|folder| folder.join("positron/config.json")),
        Some(PathBuf::from("/etc/positron/config.json")),
    ];
    Ok(places.into_iter().flatten().find(|path| path.is_file()))
}

fn read_file(path: &Path, origins: &mut Origins) -> Result<NetworkConfig, Failure> {
    let unreadable = |error: &io::Error| {
        let what = format!("cannot read the configuration file {}", path.display());
        Failure::new(Exit::Configuration, what).because(error)
    };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unreadable(&error)
            .try_this("check the path, or make the file with `positron-net generate-config FILE`"),
        io::ErrorKind::InvalidData => unreadable(&error).try_this("it must be JSON in UTF-8"),
        _ => unreadable(&error),
    })?;
    if text.len() as u64 > MAX_FILE {
        let error = io::Error::other(format!("it has more than {MAX_FILE} bytes"));
        return Err(unreadable(&error));
    }
    let config = NetworkConfig::from_json(&text, &path.display().to_string()).map_err(|error| {
        let what = format!("the configuration file {} is wrong", path.display());
        Failure::new(Exit::Configuration, what)
            .because(error)
            .try_this("`positron-net generate-config` prints a file with every key")
    })?;
    // What it reads as has been an object.
    let keys = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    let keys: Map<String, Value> = keys;
    origins.extend(keys.into_iter().map(|(key, _)| (key, "file")));
    Ok(config)
}

/// `config` with every key that the environment names: `POSITRON_PORT`, `POSITRON_DATA_DIR`, ...
fn with_environment(
    config: NetworkConfig,
    variables: impl Iterator<Item = (String, OsString)>,
    origins: &mut Origins,
    terminal: &Terminal,
) -> Result<NetworkConfig, Failure> {
    let mut config = config;
    for (name, value) in variables {
        if value.is_empty() {
            // Orchestrators set what nobody filled in.
            continue;
        }
        if is_service_link(&name, &value) {
            terminal.message(format_args!(
                "{PREFIX}{name} is not heeded: it is the address of a service of that name"
            ));
            continue;
        }
        let key = match name.to_ascii_lowercase() {
            // Neither is a key of the configuration.
            key if key == "config" || key == "key_passphrase" => continue,
            key if key == "bootstrap" => "bootstrap_nodes".to_owned(),
            key => key,
        };
        let mut keys = as_object(&config)?;
        let Some(old) = keys.get(&key) else {
            let meant = nearest_to(&key).map(|key| key.to_ascii_uppercase());
            let meant = meant.map(|key| format!("; did you mean {PREFIX}{key}?"));
            terminal.warning(format_args!(
                "{PREFIX}{name} is not heeded: there is no such key{}",
                meant.unwrap_or_default()
            ));
            continue;
        };
        let wrong = |why: String| {
            Failure::new(
                Exit::Configuration,
                format!("the environment variable {PREFIX}{name} is wrong"),
            )
            .because(why)
            .try_this(format!("correct it, or `unset {PREFIX}{name}`"))
        };
        let text = value.into_string().map_err(|_| wrong("it is not UTF-8".into()))?;
        let unset = if takes_a_number(&key) { Value::from(0) } else { Value::from("") };
        let old = if old.is_null() { &unset } else { old };
        let new = typed_like(old, &text).map_err(wrong)?;
        keys.insert(key.clone(), new);
        origins.insert(key.clone(), "environment");
        config = serde_json::from_value(Value::Object(keys))
            .map_err(|error| wrong(format!("'{text}': {error}")))?;
        match config.validate() {
            Err(error @ ConfigError::BadValue { key: bad, .. }) if bad == key => {
                return Err(wrong(error.to_string()));
            }
            // What the rest of the configuration says may be wrong, or put right later.
            _ => {}
        }
    }
    Ok(config)
}

/// Whether it is what an orchestrator says about a service called "positron", which is not about
/// us: POSITRON_PORT=tcp://10.0.0.1:8888, POSITRON_SERVICE_HOST, POSITRON_PORT_8888_TCP_ADDR, ...
/// (Kubernetes, "Accessing the Service", environment variables).
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let of_port = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    name.starts_with("SERVICE_")
        || name.strip_prefix("PORT_").is_some_and(of_port)
        || (name == "PORT" && value.to_str().is_some_and(|value| value.contains("://")))
}

/// The key that looks most like this one, which there is not.
fn nearest_to(key: &str) -> Option<String> {
    let text = Value::from(Map::from_iter([(key.to_owned(), Value::Null)])).to_string();
    match NetworkConfig::from_json(&text, "environment") {
        Err(ConfigError::UnknownKey { nearest, .. }) => nearest,
        _ => None,
    }
}

fn as_object(config: &NetworkConfig) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(config) {
        Ok(Value::Object(keys)) => Ok(keys),
        _ => Err(Failure::new(Exit::Internal, "a configuration is no JSON object")),
    }
}

/// Whether a number may be set for this key.
fn takes_a_number(key: &str) -> bool {
    let one = Value::from(Map::from_iter([(key.to_owned(), Value::from(1))]));
    serde_json::from_value::<NetworkConfig>(one).is_ok()
}

/// `text` as a value of the same type as `old`.
fn typed_like(old: &Value, text: &str) -> Result<Value, String> {
    match old {
        Value::Number(_) => match serde_json::from_str(text.trim()) {
            Ok(Value::Number(number)) => Ok(Value::Number(number)),
            _ => Err(format!("'{text}' is not a number")),
        },
        Value::Bool(_) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true.into()),
            "false" | "0" | "no" | "off" => Ok(false.into()),
            _ => Err(format!("'{text}' is neither true nor false")),
        },
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn format_name(text: &str) -> Result<LogFormat, String> {
    let format = LogFormat::deserialize(Value::from(text.to_ascii_lowercase()));
    format.map_err(|_| format!("'{text}' is no log format: text or json"))
}

fn level_name(text: &str) -> Result<String, String> {
    parse_level(text).map(|_| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Color;

    fn terminal() -> Terminal {
        Terminal::new(Color::Never, true)
    }

    fn from_environment(name: &str, value: &str) -> Result<NetworkConfig, Failure> {
        let variables = [(name.to_owned(), OsString::from(value))];
        let mut origins = Origins::default();
        with_environment(NetworkConfig::default(), variables.into_iter(), &mut origins, &terminal())
    }

    #[test]
    fn the_environment_sets_numbers_texts_paths_and_lists() {
        assert_eq!(from_environment("PORT", "9999").unwrap().port, 9999);
        assert_eq!(from_environment("HOST", "::1").unwrap().host, "::1");
        assert_eq!(from_environment("TRANSPORT", "tcp").unwrap().transport, TransportPolicy::Tcp);
        let control = from_environment("CONGESTION_CONTROL", "bbr").unwrap().congestion_control;
        assert_eq!(control, CongestionAlgorithm::Bbr);
        assert_eq!(from_environment("DATA_DIR", "/x").unwrap().data_dir, Some("/x".into()));
        assert_eq!(from_environment("GOSSIP_INTERVAL", "2").unwrap().gossip_interval, 2.0);
        let limits = from_environment("MAX_INBOUND", "20").unwrap();
        assert_eq!((limits.max_inbound, limits.max_outbound), (Some(20), None));
        let id = "0123456789012345";
        assert_eq!(from_environment("NODE_ID", id).unwrap().node_id.as_deref(), Some(id));
        let nodes = from_environment("BOOTSTRAP", "a:1, b:2,").unwrap().bootstrap_nodes;
        assert_eq!(nodes, ["a:1", "b:2"]);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value) in [
            ("PORT", "99999"),
            ("PORT", "udp"),
            ("MAX_PEERS", "-1"),
            ("MAX_INBOUND", "many"),
            ("MAX_OUTBOUND", "51"),
            ("GOSSIP_INTERVAL", "-1"),
            ("BOOTSTRAP", "nonsense"),
            ("TRANSPORT", "quic"),
            ("CONGESTION_CONTROL", "vegas"),
        ] {
            let failure = from_environment(name, value).unwrap_err();
            assert_eq!(failure.exit(), Exit::Configuration);
            assert!(failure.to_string().contains(&format!("POSITRON_{name}")), "{failure}");
            assert!(failure.to_string().contains(value), "{failure}");
        }
    }

    #[test]
    fn what_an_orchestrator_fills_in_by_itself_changes_nothing() {
        for (name, value) in [
            ("PORT", ""),
            ("PORT", "tcp://10.0.0.1:8888"),
            ("SERVICE_HOST", "10.0.0.1"),
            ("PORT_8888_TCP_ADDR", "10.0.0.1"),
        ] {
            assert_eq!(from_environment(name, value).unwrap(), NetworkConfig::default(), "{name}");
        }
    }

    #[test]
    fn an_unknown_variable_changes_nothing() {
        assert_eq!(nearest_to("prot").as_deref(), Some("port"));
        assert_eq!(from_environment("PROT", "1").unwrap(), NetworkConfig::default());
    }

    #[test]
    fn flags_win_over_what_was_there() {
        let mut config = NetworkConfig { port: 1, host: "h".into(), ..NetworkConfig::default() };
        let congestion_control = Some(CongestionAlgorithm::Cubic);
        let flags = NodeOptions { port: Some(2), congestion_control, ..NodeOptions::default() };
        flags.apply(&mut config);
        assert_eq!((config.port, config.host.as_str()), (2, "h"));
        assert_eq!(config.congestion_control, CongestionAlgorithm::Cubic);
        assert_eq!(config.data_dir, Some(DEFAULT_DATA_DIR.into()));
    }
}
