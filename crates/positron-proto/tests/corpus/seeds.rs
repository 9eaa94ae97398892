//! What the corpora begin with.

use std::{fs, path::PathBuf};

/// Every seed: its target, its name, and the input.
pub(crate) fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, bytes) in vectors("packets.txt") {
        all.push(("header", name, bytes));
    }
    for (name, bytes) in vectors("stun.txt") {
        let front = bytes[..bytes.len() - 8].to_vec();
        all.push(("stun", format!("{name}.without_fingerprint"), front));
        all.push(("stun", name, bytes));
    }
    for (name, bytes) in vectors("packet_frames.txt") {
        // DATA, unless only another type may carry it.
        let kind = if name.starts_with("close") { 4 } else { 7 };
        all.push(("frames", name, [&[kind][..], &bytes].concat()));
    }
    for (name, bytes) in vectors("messages.txt") {
        all.push(("message", name, bytes));
    }
    for file in ["refused.txt", "ignored.txt"] {
        for (at, (name, bytes)) in vectors(file).into_iter().enumerate() {
            let target = match name.split(':').next() {
                Some("message") => "message",
                Some("frame") => "link_frames",
                _ => continue,
            };
            let file = file.trim_end_matches(".txt");
            all.push((target, format!("{file}.{at}"), bytes));
        }
    }
    let frames = vectors("frames.txt");
    let together = frames.iter().flat_map(|(_, bytes)| bytes).copied().collect();
    all.extend(frames.into_iter().map(|(name, bytes)| ("link_frames", name, bytes)));
    all.push(("link_frames", "all".to_owned(), together));
    all.extend(claims().into_iter().map(|(name, bytes)| ("claims", name, bytes)));
    all.extend(holdings().into_iter().map(|(name, bytes)| ("holdings", name, bytes)));
    all.extend(queries().into_iter().map(|(name, bytes)| ("queries", name, bytes)));
    all.extend(sessions().into_iter().map(|(name, bytes)| ("sessions", name, bytes)));
    all.extend(lives().into_iter().map(|(name, bytes)| ("node", name, bytes)));
    all
}

/// Each claim as it was signed, cut, with a byte too many, and with a byte changed here and there.
fn claims() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for claim in 0..6_u8 {
        all.push((format!("{claim}.genuine"), vec![claim, 0]));
        all.push((format!("{claim}.cut"), vec![claim, 1, 0, 113]));
        for at in [0, 31, 32, 39, 40, 71, 72, 76, 77, 80, 111, 112, 115, 116] {
            all.push((format!("{claim}.changed_at_{at}"), vec![claim, 0, 0, at, 0x80]));
        }
    }
    all
}

/// Sets that touch, overlap, and reach from one end to the other.
fn holdings() -> Vec<(String, Vec<u8>)> {
    let (insert, remove, range, without) = (0, 2, 4, 6);
    let mut all = Vec::new();
    for top in 0..2 {
        for (name, steps) in [
            ("single", vec![insert, 3, 0, insert, 5, 0, insert, 4, 0, remove, 4, 0]),
            ("ends", vec![insert, 0, 0, insert, 80, 0, remove, 0, 0, remove, 80, 0]),
            ("whole", vec![range, 0, 80, range + 1, 40, 40, without, 0, 0, range, 40, 40]),
            ("swallowed", vec![range, 2, 3, range, 5, 6, range, 8, 9, range, 4, 7]),
            ("holes", vec![range, 0, 80, remove, 0, 0, remove, 39, 0, remove, 41, 0]),
            ("minus_itself", vec![range, 7, 70, range + 1, 7, 70, without, 0, 0, without, 0, 0]),
            ("backwards", vec![range, 9, 2, insert, 40, 0, remove, 40, 0]),
            ("over_the_middle", vec![insert, 39, 0, insert, 41, 0, range + 1, 40, 40, without]),
        ] {
            all.push((format!("{name}.{top}"), [&[top][..], &steps].concat()));
        }
    }
    for (name, bytes) in vectors("messages.txt") {
        if name.starts_with("gossip_i") {
            // No steps, and what stands behind the type.
            all.push((name, [&[0, 255][..], &bytes[1..]].concat()));
        }
    }
    all
}

/// Three endpoints; the lower bits of the first byte of a step say what, the upper ones who.
fn queries() -> Vec<(String, Vec<u8>)> {
    // The first asks the second, the third asks it, and it asks the third.
    let (a, c, b) = (0x3F, 0x5F, 0x7F);
    let (go, lose, twice, late, change, resize, from, old, wait) = (0, 3, 4, 5, 6, 7, 8, 9, 10_u8);
    let cold: &[u8] = &[a, 1, 9, go, go];
    let second: &[u8] = &[a, 2, 4, go, go];
    let all: [(&str, &[&[u8]]); 18] = [
        ("cold", &[cold]),
        ("ticketed", &[cold, second]),
        ("three", &[cold, &[c, 1, 5, b, 1, 7, go, go, go, go], second]),
        ("lost", &[&[a, 1, 9, lose, 0x1A, 40]]),
        ("answer_lost", &[&[a, 1, 9, go, lose, 0x1A, 40]]),
        ("ticketed_lost", &[cold, &[a, 2, 4, lose, 0x1A, 3, go, go]]),
        ("ticketed_answer_late", &[cold, &[a, 2, 4, go, late, 0x1A, 3, late, go, go, go]]),
        ("twice", &[&[a, 1, 9, twice, twice, go, go], second]),
        ("replayed", &[cold, second, &[old, 0, old, 1, old, 2, old, 3, go, go, go]]),
        ("replayed_late", &[cold, second, &[0x1A, 200, old, 2, old, 0, go]]),
        ("changed", &[&[a, 1, 9, change, 0, 40, 1, change, 0, 60, 1], second]),
        ("ticket_changed", &[cold, &[a, 2, 4, change, 0, 33, 1, change, 0, 50, 1, go]]),
        ("cut", &[&[a, 1, 9, resize, 0, 200, resize, 0, 40], &[a, 2, 4, resize, 0, 60, go]]),
        ("stolen", &[cold, &[a, 2, 4, from, 7, from, 8, go, go]]),
        ("expired", &[cold, &[0x3A, 6], second, &[0x3A, 3], &[a, 3, 200, go, go]]),
        ("given_up", &[&[a, 1, 9, 12, 1, go, go], cold]),
        ("raw", &[&[11, 8, 0xBE, 1, 13, 4, 0, 0, 0, 1], cold, &[0x8B, 20, 0xBE, 1, 14, 4]]),
        ("silent", &[&[a, 1, 9, a, 2, 9, a, 3, 9, lose, lose, 0x1A, 40], &[wait, 3]]),
    ];
    all.into_iter().map(|(name, steps)| (name.to_owned(), steps.concat())).collect()
}

/// Two nodes on good and bad streams; the first byte of a step says what, those behind it how.
fn sessions() -> Vec<(String, Vec<u8>)> {
    const RUN: u8 = 16;
    const BACK: u8 = 0x80;
    let (dial, ik, xx, wrong, probe, itself) = (52, 0, 2, 3, 0x18, 0x60);
    let up = [dial, ik, RUN];
    let said = |n: u8, lane: u8, size: u8| [32 | n, lane, size];
    let all: [(&str, &[&[u8]]); 20] = [
        ("ik", &[&up, &said(0, 0, 2), &said(BACK, 1, 3), &[RUN]]),
        ("xx", &[&[dial, xx, RUN], &said(BACK, 2, 7), &[RUN]]),
        ("wrong_node", &[&[dial, wrong, RUN], &[94, 14]]),
        ("probe", &[&[dial, probe, RUN]]),
        ("itself", &[&[dial, itself | xx, RUN]]),
        ("both_dial", &[&[dial, ik, dial | BACK, ik, RUN], &said(0, 0, 1), &[RUN]]),
        ("refused", &[&[60 | BACK, 1, dial, ik, RUN]]),
        ("kept_waiting", &[&[60 | BACK, 2, dial, ik, RUN, 94, 10, 64 | BACK, 0, RUN]]),
        ("byte_by_byte", &[&[dial, ik], &[0, 0, 0].repeat(20), &[0, 0, 5, BACK, 0, 1, RUN]]),
        ("syn_changed", &[&[dial, ik, 68, 0, 0, 9, 1, RUN, 94, 13]]),
        ("syn_cut", &[&[dial, ik, 76, 0, 0, 3, 40, RUN, 94, 13]]),
        ("record_changed", &[&up, &said(0, 0, 3), &[68, 0, 0, 30, 1, RUN]]),
        ("record_twice", &[&up, &said(0, 0, 2), &[79, 0, 0, 0, 200, RUN]]),
        ("reset_and_resumed", &[&up, &said(0, 1, 7), &[0, 0, 4, 82, 0, dial, ik, RUN]]),
        ("end_without_a_word", &[&up, &said(BACK, 0, 6), &[85, 0, 94, 15, dial, xx, RUN]]),
        ("forgotten", &[&up, &said(0, 0, 2), &[82, 0, 94, 15, 94, 15, dial, ik, RUN]]),
        ("closed", &[&up, &said(0, 2, 7), &[89, 0, RUN], &up, &said(BACK, 2, 1), &[RUN]]),
        ("held", &[&up, &[91 | BACK, 1], &said(0, 1, 7), &[RUN, 94, 14, 91 | BACK, 0, RUN]]),
        ("stranger", &[&[86, 0, 20, 0x42, 1, 1], &[86 | BACK, 0, 3, 0x16, 3, 1], &up]),
        ("replayed", &[&up, &[86 | BACK, 1, 0, 0, 1, 0, RUN, 86, 1, 0, 40, 9, 0, RUN]]),
    ];
    all.into_iter().map(|(name, steps)| (name.to_owned(), steps.concat())).collect()
}

/// A node, and peers that say each kind of message; the upper bits of the first byte of a step say
/// which peer.
fn lives() -> Vec<(String, Vec<u8>)> {
    const SECOND: u8 = 0x40;
    let up: &[u8] = &[0, 0, 4, 0, 0, 1];
    let both: &[u8] = &[0, 0, 4, 0, 0, 1, SECOND, 1, SECOND | 4, 0, 0, 1];
    let gossip: &[u8] = &[4, 5, 8, 1, 5];
    let late: &[u8] = &[34, 0];
    // OPEN, OPENED unasked, DATA by the relay, CREDIT, CLOSE; CONNECT and SYNC.
    let open = [&[4, 14, 1, 33, 19, 3][..], &[7; 32]].concat();
    let opened = [&[4, 14, 1, 34, 20, 5][..], &[7; 32], &[0]].concat();
    let said: &[u8] = &[4, 14, 1, 3, 46, 11, 1, 0, 4, 14, 0, 2, 47, 11, 63, 4, 14, 1, 1, 48, 11];
    let connect: &[u8] = &[4, 14, 0, 18, 16, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 4, 6, 20, 2, 2, 2, 0, 9];
    let sync: &[u8] = &[4, 14, 0, 8, 18, 0, 0, 0, 0, 0, 0, 0, 9];
    let all: [(&str, &[&[u8]]); 33] = [
        ("hello", &[up, &[SECOND, 0, SECOND | 4, 1, 1, 3, 1, 1, 1]]),
        ("heartbeats", &[up, &[47, 17, 4, 2, 0, 47, 16, 4, 2, 31]]),
        ("discovery", &[both, &[4, 3, 16, SECOND | 4, 3, 254]]),
        ("check", &[up, &[4, 3, 3, 1, 4, 3, 5, 1]]),
        ("announcement", &[up, &[4, 4, 6, 1, 3, 5, 7, 9, 11, 47, 12, 40, 0, 1]]),
        ("gossip", &[both, gossip, &[47, 10], &[4, 6, 9, 2, 6, 47, 10]]),
        ("equivocation", &[both, gossip, &[4, 5, 8, 2, 5, 47, 10]]),
        ("forged", &[both, &[4, 5, 0x30, 1, 5, SECOND | 4, 5, 0x70, 1, 6]]),
        ("wanted_and_withheld", &[both, &[4, 9, 0, 1, 4, 0, 3, 9], &[47, 13, 47, 14]]),
        ("asked_for", &[both, gossip, &[47, 13, SECOND | 4, 10, 0, 1, 3, 0, 0, 132, 47, 10]]),
        ("digest", &[both, gossip, &[SECOND | 4, 11, 3, 47, 12]]),
        ("direct", &[up, &[4, 12, 12, 2, 1].repeat(2), &[4, 12, 8, 2, 1, 4, 13, 0x4C, 1, 2]]),
        ("banned", &[up, &[4, 5, 0x30, 1, 5].repeat(9), &[0, 0, 4, 0, 0, 1, 47, 10]]),
        ("again", &[up, gossip, &[29, 0, 0, 0], gossip, &[0, 2], gossip, &[29, 1, 0, 1]]),
        ("behind", &[late, &[30, 0, 32].repeat(20), up, gossip, &[35, 0, 0].repeat(3), &[37, 255]]),
        ("relayed", &[up, &open, &opened, &opened, said, connect, sync, &[47, 13]]),
        ("malformed", &[up, &[4, 14, 1, 2, 6, 0, 1, 4, 4, 14, 1, 0, 255]]),
        ("broadcasts", &[both, &[30, 0, 8, 30, 1, 16, 30, 2, 24, 47, 10]]),
        ("sent", &[both, &[30, 4, 9, 30, 5, 18, 28, 0, 30, 4, 1, 47, 17]]),
        ("joined", &[&[30, 8, 2, 40, 0, 1, 30, 9, 0, 43, 2, 40, 1, 0, 47, 13]]),
        ("subscribed", &[up, &[30, 10, 1], gossip, &[30, 12, 1, 30, 13, 1, 30, 10, 0]]),
        ("late_verdicts", &[up, late, gossip, gossip, &[4, 12, 8, 2, 1, 35, 1, 3, 35, 0, 4]]),
        ("words", &[both, &[4, 3, 6, SECOND | 4, 3, 22, 0, 5, 4, 3, 38, 0, 9, 4, 3, 54, 0, 3]]),
        ("slow_disk", &[up, late, &[30, 0, 8, 39, 0, 30, 1, 8, 37, 0], gossip, &[37, 255]]),
        ("no_disk", &[up, &[30, 0, 8, 34, 0, 30, 1, 8, 39, 15, 30, 2, 8], gossip]),
        ("clocks", &[up, &[53, 30, 0], gossip, &[53, 35, 1, 4, 0, 0, 1, 47, 17, 30, 0, 8]]),
        ("in_parts", &[up, &[24, 4, 0, 5, 8, 3, 9, 10, 24, 5, 0, 200, 24, 7, 30, 5]]),
        ("odd_frames", &[up, &[24, 0, 1, 24, 1, 1, 24, 2, 1, 0, 24, 9, 3, 24, 3, 5, 2, 0]]),
        ("raw_record", &[up, &[24, 10, 0, 4, 3, 0, 0, 1, 42, 0, 0, 24, 10, 1, 1, 0xFF]]),
        ("many_pings", &[up, &[24, 11, 0, 24, 11, 0, 24, 11, 0]]),
        ("strangers", &[&[44, 1, 45, 0, 8, 0x42, 1, 1, 0, 0, 0, 0, 0, 54, 4, 0x42, 1, 1, 0]]),
        ("silent", &[up, &[28, 0, 47, 13, 47, 13, 29, 1, 0, 0, 47, 12]]),
        ("stopped", &[both, &[30, 4, 9, 30, 14, 0], gossip, &[47, 13]]),
    ];
    all.into_iter().map(|(name, steps)| (name.to_owned(), steps.concat())).collect()
}

/// The values of a file of vectors, by name.
pub(crate) fn vectors(file: &str) -> Vec<(String, Vec<u8>)> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = fs::read_to_string(vectors.join(file)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, hex) = line.split_once(" =").unwrap();
            (name.trim().to_owned(), unhex(hex.trim()))
        })
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
