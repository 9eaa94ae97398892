//! The node that runs with a data folder: asking it, and what to say when that does not work.

use std::{io::ErrorKind, path::Path};

use positron_admin::{Client, ClientError, EventStream};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    settings::{NodeSelector, Settings},
    terminal::{Terminal, sanitised},
};

/// The node that runs with the data folder of some settings.
#[derive(Debug)]
pub(crate) struct Running {
    client: Client,
    settings: Settings,
}

impl Running {
    /// That of these settings. Whether there is one is known when it is asked.
    pub(crate) fn of(selector: &NodeSelector, terminal: &Terminal) -> Result<Self, Failure> {
        let settings = selector.settings(terminal)?;
        let client = client(settings.data_dir())?;
        Ok(Self { client, settings })
    }

    /// What it answers to `GET path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.client.get(path).map_err(|error| self.failure(error))
    }

    /// What it answers to `POST path` with `body`.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.client.post(path, body).map_err(|error| self.failure(error))
    }

    /// The same, for who looks at why not.
    pub(crate) fn try_post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, ClientError> {
        self.client.post(path, body)
    }

    /// What happens to it from now on.
    pub(crate) fn events(&self) -> Result<EventStream<'_>, Failure> {
        self.client.events().map_err(|error| self.failure(error))
    }

    /// As the end of the command.
    pub(crate) fn failure(&self, error: ClientError) -> Failure {
        match error {
            ClientError::NotRunning => not_running(self.settings.data_dir()),
            error => failure(self.settings.data_dir(), error),
        }
    }
}

/// Asks whoever runs with this data folder.
pub(crate) fn client(folder: &Path) -> Result<Client, Failure> {
    Client::new(folder).map_err(|error| failure(folder, error))
}

/// Why the node of a data folder does not say what it was asked.
pub(crate) fn failure(folder: &Path, error: ClientError) -> Failure {
    let what = format!("cannot ask the node in {}", folder.display());
    match error {
        ClientError::NotRunning => not_running(folder),
        ClientError::Unusable(error) if error.kind() == ErrorKind::NotADirectory => {
            not_running(folder)
        }
        ClientError::Refused(wrong) => {
            let what = match wrong.code.as_str() {
                "not_found" => "there is nothing",
                _ => "the running node does not do it",
            };
            let failure = Failure::new(Exit::Refused, what).because(sanitised(&wrong.sentence));
            match wrong.remedy {
                Some(remedy) => failure.try_this(sanitised(&remedy)),
                None => failure,
            }
        }
        ClientError::Nonsense(why) => {
            let what = format!("the node in {} answers nonsense", folder.display());
            Failure::new(Exit::Unreachable, what)
                .because(sanitised(&why))
                .try_this("is it of another version? restart it with this one")
        }
        ClientError::Unusable(error) => match error.kind() {
            ErrorKind::PermissionDenied => Failure::new(Exit::Storage, what)
                .because(error)
                .try_this("only the user who runs the node may ask it"),
            ErrorKind::TimedOut => {
                Failure::new(Exit::Unreachable, what).because("no answer in time")
            }
            _ => Failure::new(Exit::Unreachable, what).because(error),
        },
    }
}

/// Nobody answers for this data folder.
fn not_running(folder: &Path) -> Failure {
    let what = format!("no node is running with the data folder {}", folder.display());
    let failure = Failure::new(Exit::Unreachable, what);
    let fix = "start one with `positron-net start`, or name another folder with --data-dir";
    failure.try_this(fix).because(if folder.is_dir() {
        "nobody listens on the control socket in it"
    } else if folder.exists() {
        "it is a file, not a folder"
    } else {
        "there is no such folder"
    })
}
