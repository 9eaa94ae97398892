//! What a running node is told about its peers.

use serde_json::Value;

use crate::fixture::{Fixture, Outcome, Process, SOON, free_port, until};

const USAGE: i32 = 2;
const UNREACHABLE: i32 = 6;
const REFUSED: i32 = 7;

fn start(fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    let args = ["start", "--host", "127.0.0.1", "--port", "0"];
    Process::start(fixture, data, &[&args[..], more].concat())
}

/// What the first node answers.
fn told(fixture: &Fixture, args: &[&str]) -> Outcome {
    fixture.run(&[args, &["--data-dir", "first"]].concat())
}

fn id_of(node: &Process) -> String {
    node.started()["node_id"].as_str().unwrap().to_owned()
}

fn peers(status: &Value) -> usize {
    status["peers"].as_array().unwrap().len()
}

#[test]
fn a_running_node_bans_lists_lifts_and_lets_go() {
    let fixture = Fixture::new();
    let first = start(&fixture, "first", &[]);
    let second = start(&fixture, "second", &["-b", &first.address()]);
    let id = id_of(&second);
    first.status_when(&fixture, "one peer", |status| peers(status) == 1);
    let listed = told(&fixture, &["peers", "--json"]).expect(0).json();
    assert_eq!(listed["peers"][0]["node_id"], id.as_str());
    assert!(told(&fixture, &["peers"]).expect(0).stdout.contains(&id[..16]));
    let why = told(&fixture, &["peers", "why", &id]).expect(0).stdout;
    assert!(why.contains(&id) && why.contains("a stranger has 0.50"), "{why}");
    assert!(why.contains("now"), "{why}");
    let why = told(&fixture, &["peers", "why", &id[..16], "--json"]).expect(0).json();
    assert_eq!((&why["node_id"], &why["why"]["ban_below"]), (&id.as_str().into(), &0.1.into()));

    // By the beginning of its id, as people are shown it.
    let words = ["ban", &id[..16], "--for", "2h", "--reason", "sold us a horse"];
    let banned = told(&fixture, &words).expect(0).stdout;
    assert_eq!(banned, format!("banned {id}\n"));
    first.status_when(&fixture, "it is gone", |status| peers(status) == 0);
    let why = told(&fixture, &["peers", "why", &id[..16]]).expect(0).stdout;
    assert!(why.contains("banned") && why.contains("by the application: sold us a horse"), "{why}");
    // Both ends name the same reason, and who it was.
    let left = |folder: &str| {
        let told = fixture.run(&["peers", "--json", "--data-dir", folder]).expect(0).json();
        (told["lost"][0]["reason"].clone(), told["lost"][0]["by"].clone())
    };
    assert_eq!(left("first"), ("banned".into(), "us".into()));
    let heard = || (left("second") == ("banned".into(), "peer".into())).then_some(());
    crate::fixture::until("the other end hears of it", SOON, heard);
    let shown = told(&fixture, &["peers"]).expect(0).stdout;
    for part in ["ended by", "banned", &id[..16], "positron-net unban"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let bans = told(&fixture, &["bans", "--json"]).expect(0).json();
    assert_eq!(bans["bans"][0]["node_id"], id.as_str());
    assert_eq!(bans["bans"][0]["reason"], "sold us a horse");
    let table = told(&fixture, &["bans"]).expect(0).stdout;
    assert!(table.contains(&id) && table.contains("sold us a horse"), "{table}");
    let lifted = told(&fixture, &["unban", &id, "--json"]).expect(0).json();
    assert_eq!((&lifted["event"], &lifted["node_id"]), (&"unbanned".into(), &id.as_str().into()));
    let join = ["join", &second.address(), "--data-dir", "first"];
    fixture.run(&join).expect(0);

    told(&fixture, &["disconnect", &id]).expect(0);
    first.status_when(&fixture, "it is let go", |status| peers(status) == 0);
    let place = format!("{id}@{}", second.address().replace("127.0.0.1", "localhost"));
    told(&fixture, &["reserve", &place]).expect(0);
    first.status_when(&fixture, "it is dialled", |status| peers(status) == 1);
    let kept = told(&fixture, &["disconnect", &id]).expect(REFUSED).stderr;
    assert!(kept.contains("a slot is reserved for node"), "{kept}");
    told(&fixture, &["unreserve", &id]).expect(0);
}

#[test]
fn addresses_are_banned_and_listed_as_they_are_written() {
    let fixture = Fixture::new();
    let first = start(&fixture, "first", &[]);
    let _second = start(&fixture, "second", &["-b", &first.address()]);
    first.status_when(&fixture, "one peer", |status| peers(status) == 1);
    let banned = told(&fixture, &["ban", "127.0.0.0/8", "--json"]).expect(0).json();
    assert_eq!(banned["addresses"], "127.0.0.0/8");
    let status = first.status_when(&fixture, "nobody is left", |status| peers(status) == 0);
    assert_eq!(status["trust"]["banned_addresses"], 1);
    let bans = told(&fixture, &["bans"]).expect(0).stdout;
    assert!(bans.contains("127.0.0.0/8") && bans.contains("ever"), "{bans}");
    until("it is on the disk", SOON, || {
        let summary = fixture.run(&["stats", "--data-dir", "first"]).expect(0).stdout;
        summary.contains("127.0.0.0/8").then_some(())
    });
    let part = told(&fixture, &["unban", "127.0.0.1"]).expect(REFUSED).stderr;
    assert!(part.contains("as part of 127.0.0.0/8"), "{part}");
    told(&fixture, &["unban", "127.0.0.0/8"]).expect(0);
    let bans = told(&fixture, &["bans", "--json"]).expect(0).json();
    assert_eq!(bans, serde_json::json!({ "bans": [] }));
}

#[test]
fn a_join_that_failed_goes_on_visibly_until_it_is_forgotten() {
    let fixture = Fixture::new();
    let first = start(&fixture, "first", &[]);
    first.started();
    let nobody = format!("127.0.0.1:{}", free_port());
    told(&fixture, &["join", &nobody]).expect(UNREACHABLE);
    let alone = |wanted: fn(&str) -> bool| {
        let status = first.status_when(&fixture, "why it is alone", |status| {
            status["isolation_reason"].as_str().is_some_and(wanted)
        });
        (status["isolation_reason"].as_str().unwrap().to_owned(), status["bootstrap"].clone())
    };
    // Nobody gave it a bootstrap address, whatever was tried since.
    let (why, bootstrap) = alone(|why| why.contains("asked to join"));
    assert!(why.starts_with("no bootstrap address was given"), "{why}");
    assert_eq!(
        (&bootstrap[0]["address"], &bootstrap[0]["joined"]),
        (&nobody.as_str().into(), &true.into())
    );
    let status = told(&fixture, &["status"]).expect(0).stdout;
    assert!(status.contains("`positron-net forget` ends it"), "{status}");
    assert_eq!(
        told(&fixture, &["forget", &nobody]).expect(0).stdout,
        format!("forgotten {nobody}\n")
    );
    let (why, bootstrap) = alone(|why| !why.contains("asked to join"));
    assert!(why.contains("waiting for others") && bootstrap == serde_json::json!([]), "{why}");
    let again = told(&fixture, &["forget", &nobody]).expect(REFUSED).stderr;
    assert!(again.contains("is no bootstrap address of this node"), "{again}");
}

#[test]
fn an_order_that_cannot_be_meant_says_what_is_wrong_with_it() {
    let fixture = Fixture::new();
    let id = "ab".repeat(32);
    for args in [&["ban", &id][..], &["bans"], &["peers"], &["unreserve", &id]] {
        let words = ["no node is running with the data folder", "positron-net start"];
        fixture.refuses(args, UNREACHABLE, &words);
    }
    for (args, word) in [
        (&["ban", "bob"][..], "neither a node nor addresses"),
        (&["ban", "203.0.113.7/24"], "is 203.0.113.0/24 meant?"),
        (&["ban", &id, "--for", "2 hours"], "such as 90s, 2h or 7d"),
        (&["unban", "1.2.3.4:80"], "neither a node nor addresses"),
        (&["disconnect", "203.0.113.7"], "64 hexadecimal characters"),
        (&["reserve", &format!("{id}@127.0.0.1")], "127.0.0.1"),
        (&["reserve", &format!("{id}@127.0.0.1:0")], "no address that can be dialled"),
    ] {
        fixture.refuses(args, USAGE, &[word]);
    }
    let first = start(&fixture, "first", &[]);
    let own = id_of(&first);
    for (args, word) in [
        (&["ban", &own][..], "does not treat itself as a peer"),
        (&["disconnect", &own[..16]], "does not treat itself as a peer"),
        (&["disconnect", &id], "is not connected"),
        (&["disconnect", &id[..16]], "give all 64 characters"),
        (&["unban", &id], "is not banned"),
        (&["unban", "2001:db8::/32"], "2001:db8::/32 is not banned"),
        (&["ban", &id, "--reason", &"x".repeat(257)], "at most 256 bytes"),
    ] {
        let said = told(&fixture, args).expect(REFUSED);
        assert!(said.stderr.contains(word), "{args:?}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{args:?}");
    }
}
