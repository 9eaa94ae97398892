//! What the API tells that the node itself does not know: whoever runs the node does.

use std::{fmt::Debug, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What the API tells that the node itself does not know.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// What the node was told, and by whom. Nothing secret.
    pub config: Vec<ConfigValue>,
    /// The log, if there is one to ask.
    pub log: Option<Arc<dyn Logbook>>,
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "key": "port", "value": 8888, "origin": "default" }))]
pub struct ConfigValue {
    /// Its name.
    pub key: String,
    /// What it is.
    pub value: Value,
    /// Who said so: `default`, `file`, `environment` or `command line`.
    pub origin: String,
}

/// The log of the process.
pub trait Logbook: Debug + Send + Sync {
    /// What is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`.
    fn level(&self) -> String;

    /// Logs at this level from now on.
    ///
    /// # Errors
    /// There is no such level, in words.
    fn set_level(&self, level: &str) -> Result<(), String>;

    /// The last lines, oldest first, each with `at`, `level`, `target` and `text`.
    fn lines(&self) -> Vec<Value>;
}
