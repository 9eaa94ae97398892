//! Writes what is made from the tables of metrics into a folder, the present one if none is given:
//! `METRICS.md`, and in `observability` the dashboard, the alerts and their tests.

mod alerts;
mod dashboard;
mod names;
mod page;

use std::{fs, path::PathBuf};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    fs::create_dir_all(folder.join("observability"))?;
    fs::write(folder.join("METRICS.md"), page::page())?;
    fs::write(folder.join("observability/dashboard.json"), dashboard::dashboard())?;
    fs::write(folder.join("observability/rules.yml"), alerts::rules())?;
    fs::write(folder.join("observability/rules_test.yml"), alerts::tests())
}
