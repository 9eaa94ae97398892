//! `positron-net join`: a node, connected to another.

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::{
    commands::on_runtime,
    control::{Request, Response, ask},
    failure::{Exit, Failure},
    global::Global,
    joining::{Target, join},
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
        let request = Request::Join { target: self.target.to_string() };
        let folder = settings.data_dir();
        let answer = match ask(folder, &request)? {
            Ok(answer) => answer,
            Err(_not_running) => return Ok(None),
        };
        if let Some(flag) = self.node.flag_of_a_start() {
            terminal.warning(format_args!(
                "{flag} is not heeded: a node is running in {} already, as it was started; a \
                 second one has a folder of its own: --data-dir FOLDER",
                folder.display()
            ));
        }
        match answer {
            Response::Joined(id) => {
                if global.json {
                    terminal.document(&json!({ "event": "joined", "node_id": id }))?;
                } else {
                    terminal.data(format_args!("the running node joined {id}"))?;
                }
                Ok(Some(Exit::Ok))
            }
            Response::NotJoined(why) => Err(why.failure(&self.target)),
            other => Err(Failure::new(Exit::Refused, "the running node does not join")
                .because(sanitised(&format!("{other:?}")))),
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
                joined.map_err(|why| why.failure(&self.target))?
            }
            exit = signals.asked() => return Ok(exit),
        };
        terminal.message(format_args!("joined node {}", node.short()));
        service.run().await
    }
}
