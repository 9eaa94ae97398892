//! `positron-net doctor`: what is right and wrong with this machine and its network.

use std::{ops::ControlFlow, sync::Arc};

use clap::Args;
use positron_networking::is_address;
use serde_json::json;

use super::until_signal;
use crate::{
    doctor::{Finding, Verdict, examine},
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    table::Fields,
    terminal::{Terminal, sanitised},
};

/// Looks at the running node and its peers, ports, IPv4 and IPv6, what stands between this machine
/// and the internet, file descriptors and the data folder, and says what to change. Nobody outside
/// is asked but the servers of --stun. The exit code is 8 if something is wrong.
#[derive(Args, Debug)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    selector: NodeSelector,
    /// STUN servers to ask how they see this machine; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    stun: Vec<String>,
}

impl DoctorOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        for server in &self.stun {
            is_address(server).map_err(|why| {
                let what = format!("`{}` is no address of a server", sanitised(server));
                Failure::new(Exit::Usage, what).because(why).try_this("write HOST:PORT")
            })?;
        }
        let look = move || Ok(examine(&settings, &self.stun));
        let findings = match until_signal(terminal, global, look)? {
            ControlFlow::Continue(findings) => findings,
            ControlFlow::Break(exit) => return Ok(exit),
        };
        let wrong = findings.iter().filter(|it| it.verdict == Verdict::Wrong).count();
        if global.json {
            terminal.document(&json!({ "findings": findings, "wrong": wrong }))?;
        } else {
            terminal.data(fields(&findings))?;
        }
        Ok(if wrong == 0 { Exit::Ok } else { Exit::CheckFailed })
    }
}

fn fields(findings: &[Finding]) -> Fields {
    let mut fields = Fields::default();
    for Finding { about, verdict, says, advice } in findings {
        let advice = advice.as_ref().map(|advice| format!("  try: {}", sanitised(advice)));
        let says = format!("{}: {}", verdict.word(), sanitised(says));
        fields.list(about, [says].into_iter().chain(advice));
    }
    fields
}
