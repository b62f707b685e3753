//! The interface as a language's standard library uses it. In: an empty directory as `/`, arguments and variables;
//! out: exit code 0, or a message about what went wrong.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime};

fn check(what: &str, holds: bool) {
    if !holds {
        eprintln!("failed: {what}");
        std::process::exit(1);
    }
}

fn files() -> Result<()> {
    fs::create_dir_all("/a/b/c")?;
    fs::write("/a/b/file", "some text")?;
    check("read back", fs::read_to_string("/a/b/../b/file")? == "some text");
    let mut file = OpenOptions::new().read(true).append(true).open("/a/b/file")?;
    file.write_all(b", more")?;
    file.seek(SeekFrom::Start(5))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    check("append and seek", rest == "text, more");
    file.sync_all()?;
    drop(file);
    let file = OpenOptions::new().write(true).open("/a/b/file")?;
    file.set_len(4)?;
    check("length", file.metadata()?.len() == 4);
    drop(file);
    let error = OpenOptions::new().write(true).create_new(true).open("/a/b/file").map(drop).map_err(|e| e.kind());
    check("create_new on a file", error == Err(ErrorKind::AlreadyExists));
    check("missing", File::open("/a/none").map(drop).map_err(|e| e.kind()) == Err(ErrorKind::NotFound));
    fs::rename("/a/b/file", "/a/renamed")?;
    fs::copy("/a/renamed", "/a/copy")?;
    fs::hard_link("/a/copy", "/a/link")?;
    check("copied", fs::read("/a/link")? == b"some");
    check(
        "recent",
        SystemTime::now().duration_since(fs::metadata("/a/copy")?.modified()?).unwrap_or_default().as_secs() < 60,
    );
    Ok(())
}

fn listing() -> Result<()> {
    fs::create_dir("/many")?;
    let expected: BTreeSet<String> = (0..500).map(|n| format!("entry number {n}")).collect();
    for name in &expected {
        File::create(format!("/many/{name}"))?;
    }
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/many")? {
        let entry = entry?;
        check("type", entry.file_type()?.is_file());
        found.insert(entry.file_name().into_string().unwrap());
    }
    check("every entry once", found == expected);
    fs::remove_dir_all("/many")?;
    check("gone", !fs::exists("/many")?);
    let names: BTreeSet<_> =
        fs::read_dir("/a")?.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    check("names", names.into_iter().collect::<Vec<_>>() == ["b", "copy", "link", "renamed"]);
    fs::remove_dir_all("/a")
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    check("arguments", args == ["first", "zweites ä"]);
    check("environment", std::env::var("NAME").as_deref() == Ok("value with = in it"));
    files()?;
    listing()?;
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(10));
    check("sleep", start.elapsed() >= Duration::from_millis(10));
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    check("standard input", input == "line\n");
    println!("all good");
    Ok(())
}
