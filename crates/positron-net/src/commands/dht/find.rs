//! `positron-net dht find`: where a node is, or who is near a key.

use clap::Args;
use serde_json::{Value, json};

use super::key::key;
use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fields, Fit, count, fitted, short_ms},
    terminal::{Terminal, sanitised},
};

/// Finds the addresses of a node by its id, or the nodes that are nearest to a key, and tells how
/// they were found.
#[derive(Args, Debug)]
pub(crate) struct FindOptions {
    /// The id of a node (64 characters), or a key
    #[arg(value_name = "ID|KEY", value_parser = key)]
    target: String,
    /// It is a key, even if it looks like the id of a node
    #[arg(long, conflicts_with = "place")]
    key: bool,
    /// It is a place: what `put --immutable` printed, or `stats` lists
    #[arg(long)]
    place: bool,
    /// List every question, in the order in which they were asked
    #[arg(long)]
    steps: bool,
    #[command(flatten)]
    selector: NodeSelector,
}

impl FindOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let mut order = json!({ "target": self.target });
        match (self.key, self.place) {
            (true, _) => order["as"] = "key".into(),
            (_, true) => order["as"] = "place".into(),
            (false, false) => {}
        }
        let found: Value = running.post("/v1/dht/find", &order)?;
        if global.json {
            terminal.document(&found)?;
            return Ok(Exit::Ok);
        }
        terminal.data(in_words(&found))?;
        let nearest = &found["nearest"];
        if nearest["nodes"].as_array().is_some_and(|nodes| !nodes.is_empty()) {
            terminal.data(near(&nearest["nodes"], terminal.width()))?;
        }
        if self.steps {
            terminal.data(asked(&nearest["steps"], terminal.width()))?;
        }
        Ok(Exit::Ok)
    }
}

fn in_words(found: &Value) -> Fields {
    let (node, nearest) = (&found["node"], &found["nearest"]);
    let text = |value: &Value| sanitised(value.as_str().unwrap_or_default());
    let mut fields = Fields::default();
    if node.is_object() {
        fields.line("node", text(&node["node_id"]));
        fields.list("at", node["addresses"].as_array().into_iter().flatten().map(text));
    }
    let steps = nearest["steps"].as_array().map_or(0, Vec::len);
    let took = short_ms(nearest["took_ms"].as_f64().unwrap_or(0.0));
    let how = format!("{}, {}, {took}", count(&nearest["hops"], "hop"), count(steps, "question"));
    fields.line("place", text(&nearest["place"])).line("looked up", how);
    if nearest["nodes"].as_array().is_none_or(Vec::is_empty) {
        fields.line("nearest", "nobody: no other node that serves the table was found");
    }
    fields
}

fn near(nodes: &Value, width: Option<usize>) -> String {
    let rows = nodes.as_array().into_iter().flatten().map(|node| {
        let text = |name: &str| sanitised(node[name].as_str().unwrap_or_default());
        [text("node_id"), text("address"), node["common_bits"].to_string()]
    });
    let fit = Fit { expendable: &[2], words: None };
    fitted(["nearest", "address", "bits"], rows.collect(), width, fit).to_string()
}

fn asked(steps: &Value, width: Option<usize>) -> String {
    let rows = steps.as_array().into_iter().flatten().map(|step| {
        let text = |name: &str| sanitised(step[name].as_str().unwrap_or_default());
        let end = match step["answer_ms"].as_f64() {
            Some(after) => format!("{} after {}", text("end"), short_ms(after)),
            None => text("end"),
        };
        let at = short_ms(step["at_ms"].as_f64().unwrap_or(0.0));
        let id: String = text("node_id").chars().take(16).collect();
        [at, id, text("address"), step["hop"].to_string(), step["path"].to_string(), end]
    });
    let fit = Fit { expendable: &[4, 3, 2], words: None };
    fitted(["asked at", "node", "address", "hop", "path", "end"], rows.collect(), width, fit)
        .to_string()
}
