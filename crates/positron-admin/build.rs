//! Puts the files of the page into the crate: a table of names, contents and tags, made from
//! `web/dist` as it is committed.

use std::{
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let page = here.join("../../web/dist");
    println!("cargo::rerun-if-changed={}", page.display());
    let mut found = Vec::new();
    if page.is_dir() {
        collect(&page, &mut found)?;
    }
    found.sort();
    let mut table = String::from("static FILES: &[File] = &[\n");
    for path in &found {
        let name = path.strip_prefix(&page).map_err(io::Error::other)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(path)?);
        writeln!(
            table,
            "    File {{ name: {:?}, tag: \"\\\"{:016x}\\\"\", bytes: include_bytes!({:?}) }},",
            format!("/{}", name.display()),
            hasher.finish(),
            path.canonicalize()?,
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("page.rs"), table)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
