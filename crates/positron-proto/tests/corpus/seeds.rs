//! What the corpora begin with.

use std::{fs, path::PathBuf};

/// Every seed: its target, its name, and the input.
pub(crate) fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, bytes) in vectors("packets.txt") {
        all.push(("header", name, bytes));
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
    all
}

/// Each claim as it was signed, cut, with a byte too many, and with a byte changed here and there.
fn claims() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for claim in 0..4_u8 {
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
