//! Stories and experiments of made-up worlds, by name.

use std::fs;

use positron_sim::{experiments, repertoire};

use crate::fixture::Fixture;

#[test]
fn every_scenario_is_listed_with_what_it_is_about() {
    let fixture = Fixture::new();
    let help = fixture.run(&["simulate", "--help"]).expect(0).stdout;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, about) in repertoire::abouts() {
        assert!(words.contains(&format!("- {name}: {about}")), "{name}: {help}");
    }
    let names: Vec<&str> = repertoire::abouts().map(|(name, _)| name).collect();
    fixture.refuses(&["simulate", "--virtual", "--scenario", "nonsense"], 2, &names);
    fixture.refuses(
        &["simulate", "--virtual", "--scenario", "lairs"],
        2,
        &["a similar value exists", "liars"],
    );
}

#[test]
fn an_experiment_ends_with_its_figures_beside_what_is_promised_and_published() {
    let fixture = Fixture::new();
    let args = "simulate --virtual --scenario quiet -n 10 --seed 1 --report r.json --record r";
    let args: Vec<&str> = args.split(' ').collect();
    let outcome = fixture.run(&args).expect(0);
    for word in ["scenario", "quiet", "figure", "measured", "promised", "published", "iroh-gossip"]
    {
        assert!(outcome.stdout.contains(word), "{word}: {}", outcome.stdout);
    }
    let row = outcome.stdout.lines().find(|row| row.contains("extra copies a delivery"));
    assert!(row.is_some_and(|row| row.contains("at most 0.15") && row.contains("met")), "{row:?}");
    let report = fs::read_to_string(fixture.path().join("r.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["name"], &report["nodes"]), (&"quiet".into(), &10.into()));
    assert_eq!(report["unmet"], serde_json::json!([]));
    assert_eq!(report["report"]["deliveries"], 600 * 9);
    let again = fixture.run(&[&args[..8], &["--json"]].concat()).expect(0).json();
    assert_eq!(again["report"]["run_hash"], report["report"]["run_hash"]);
    assert!(outcome.stderr.contains("recorded"), "{}", outcome.stderr);
}

#[test]
fn an_experiment_needs_ten_nodes_and_takes_twenty_if_nobody_says() {
    let fixture = Fixture::new();
    for name in experiments::NAMES {
        let args = ["simulate", "--virtual", "--scenario", name, "-n", "9"];
        fixture.refuses(&args, 2, &["cannot run 9 nodes", "10 to"]);
    }
    let args = ["simulate", "--virtual", "--scenario", "quiet", "--seed", "1", "--json"];
    assert_eq!(fixture.run(&args).expect(0).json()["nodes"], experiments::USUAL_NODES);
}
