//! `positron-net join`: a node, connected to another.

use std::sync::Arc;

use clap::Args;
use positron_admin::{ClientError, JoinEnd, NotJoined, Target, join};
use serde_json::{Value, json};

use crate::{
    commands::on_runtime,
    failure::{Exit, Failure},
    global::Global,
    running,
    service::Service,
    settings::{NodeOptions, Settings},
    terminal::{Terminal, sanitised},
};

/// Runs a node as `start` does, connected to the one of the invite. If a node is running with this
/// data folder already, that one is connected.
///
/// All addresses of an invite are tried at the same time, for twelve seconds.
///
/// Exit code 6 if nobody answers, 7 if the other node refuses.
#[derive(Args, Debug)]
pub(crate) struct JoinOptions {
    /// `positron:...` as the other node prints it, or host:port
    #[arg(value_name = "INVITE")]
    target: Target,
    #[command(flatten)]
    node: NodeOptions,
}

impl JoinOptions {
    /// Runs it.
    pub(crate) fn run(mut self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        self.heed_network()?;
        let settings = self.node.settings(terminal)?;
        if let Some(exit) = self.ask_running(&settings, terminal, global)? {
            return Ok(exit);
        }
        on_runtime(async {
            let mut service = Service::start(terminal, global, &settings).await?;
            let ran = self.join_and_run(&mut service, terminal).await;
            service.shutdown().await?;
            ran
        })
    }

    /// An invite names its network; the node is of that one.
    fn heed_network(&mut self) -> Result<(), Failure> {
        let Target::Invite(invite) = &self.target else { return Ok(()) };
        match &self.node.network {
            Some(named) if *named != invite.network => {
                let what = format!("the invite is for the network '{}'", invite.network);
                Err(Failure::new(Exit::Usage, sanitised(&what))
                    .because(format!("--network says '{named}'"))
                    .try_this("leave --network away"))
            }
            _ => {
                self.node.network = Some(invite.network.clone());
                Ok(())
            }
        }
    }

    /// Lets the node join that runs with this data folder already, if one does.
    fn ask_running(
        &self,
        settings: &Settings,
        terminal: &Terminal,
        global: Global,
    ) -> Result<Option<Exit>, Failure> {
        let folder = settings.data_dir();
        let body = json!({ "target": self.target.to_string() });
        let answer = running::client(folder)?.post::<Value>("/v1/actions/join", &body);
        if matches!(answer, Err(ClientError::NotRunning)) {
            return Ok(None);
        }
        if let Some(flag) = self.node.flag_of_a_start() {
            terminal.warning(format_args!(
                "{flag} is not heeded: a node is running in {} already, as it was started; a \
                 second one has a folder of its own: --data-dir FOLDER",
                folder.display()
            ));
        }
        match answer {
            Ok(done) => {
                if global.json {
                    let told = json!({ "event": "joined", "node_id": done["node_id"] });
                    terminal.document(&told)?;
                } else {
                    let id = sanitised(done["node_id"].as_str().unwrap_or_default());
                    terminal.data(format_args!("the running node joined {id}"))?;
                }
                Ok(Some(Exit::Ok))
            }
            Err(ClientError::Refused(wrong)) if let Some(end) = end(&wrong.code) => {
                let why = NotJoined { end, reason: wrong.sentence };
                Err(not_joined(&why, &self.target))
            }
            Err(error) => Err(running::failure(folder, error)),
        }
    }

    async fn join_and_run(
        &self,
        service: &mut Service,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        service.introduce();
        let mut signals = service.signals().clone();
        let node = tokio::select! {
            joined = join(service.node(), &self.target) => {
                joined.map_err(|why| not_joined(&why, &self.target))?
            }
            exit = signals.asked() => return Ok(exit),
        };
        terminal.message(format_args!("joined node {}", node.short()));
        service.run().await
    }
}

/// How far it came that says so; none: it did not come to joining.
fn end(code: &str) -> Option<JoinEnd> {
    match code {
        "unreached" => Some(JoinEnd::Unreached),
        "refused" => Some(JoinEnd::Refused),
        "ourselves" => Some(JoinEnd::Ourselves),
        _ => None,
    }
}

/// As the end of the command.
fn not_joined(why: &NotJoined, target: &Target) -> Failure {
    let place = sanitised(&target.addresses().join(", "));
    let (exit, what, fix) = match why.end {
        JoinEnd::Refused => {
            let fix = "ask whoever runs that node, or join another one of the network";
            (Exit::Refused, format!("the node at {place} refuses this one"), fix)
        }
        JoinEnd::Unreached => {
            let fix = "is it running, reachable from here, and is the address right?";
            (Exit::Unreachable, format!("no node to join answers at {place}"), fix)
        }
        JoinEnd::Ourselves => {
            let fix = "take the invite of another node; a second node on this machine has a \
                       folder of its own: --data-dir FOLDER";
            (Exit::Unreachable, format!("the node at {place} is this one itself"), fix)
        }
    };
    Failure::new(exit, what).because(sanitised(&why.reason)).try_this(fix)
}
