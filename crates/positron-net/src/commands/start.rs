//! `positron-net start`: a node.

use std::sync::Arc;

use clap::Args;

use crate::{
    commands::on_runtime,
    failure::{Exit, Failure},
    global::Global,
    service::Service,
    settings::NodeOptions,
    terminal::Terminal,
};

/// Runs a node until Ctrl-C, SIGTERM or the end of its terminal. Then it stops within five seconds;
/// a second Ctrl-C ends it at once. Without a terminal, or under nohup, SIGHUP opens the log file
/// anew. A full disk or a closed pipe behind stdout or the log stops nothing.
///
/// With --json at most 20 events of a kind are said in a second; what was left away is counted:
/// {"event":"dropped","of":"peer_left","count":7}.
///
/// What is not said here is taken from the environment (POSITRON_PORT, POSITRON_DATA_DIR, ...:
/// every key of the configuration file), then from the configuration file. Bootstrap nodes that do
/// not answer are no error: the node runs, says why it is alone, and goes on trying.
#[derive(Args, Debug)]
pub(crate) struct StartOptions {
    #[command(flatten)]
    node: NodeOptions,
}

impl StartOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let settings = self.node.settings(terminal)?;
        on_runtime(async {
            let mut service = Service::start(terminal, global, &settings).await?;
            service.introduce();
            let ran = service.run().await;
            service.shutdown().await?;
            ran
        })
    }
}
