//! `vm cache`: what is in the cache of compiled code, and making it smaller.

use crate::args::{CacheAction, CacheArgs};
use crate::exit::Exit;
use crate::output;
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use vm::{Cache, CacheEntry};

pub(crate) fn run(args: &CacheArgs) -> Result<(), Exit> {
    let cache = match &args.dir {
        Some(dir) => Some(Cache::at(dir)),
        None => Cache::user(),
    };
    let cache = cache.ok_or_else(|| {
        Exit::failure("there is no cache: neither VM_CACHE_DIR nor HOME is set\nhint: --cache DIR names one")
    })?;
    let failed = |e: vm::Error| Exit::failure(e.to_string());
    let gone = |(entries, bytes)| format!("removed {entries} entries, {}\n", size(bytes));
    let text = match args.action {
        CacheAction::Path => format!("{}\n", cache.path().display()),
        CacheAction::List => list(&cache.entries().map_err(failed)?),
        CacheAction::Stat => stat(&cache, &cache.entries().map_err(failed)?),
        CacheAction::Clean => gone(cache.clean().map_err(failed)?),
        CacheAction::Prune { max_size } => gone(cache.prune(max_size.unwrap_or(cache.limit())).map_err(failed)?),
    };
    output::print(&text)
}

/// A line an entry, the one used last at the end.
fn list(entries: &[CacheEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut text = format!("{:<20}  {:>9}  {:>9}  {:>15}  module\n", "key", "size", "used", "functions");
    for e in entries {
        let (functions, module) = match &e.contents {
            None => ("-".into(), "(damaged)".into()),
            Some(c) => {
                let unusable = if c.usable { "" } else { " (another version or processor)" };
                let name = c.module.as_deref().unwrap_or("-");
                (format!("{}/{}", c.compiled, c.functions), format!("{name}{unusable}"))
            }
        };
        let key = e.key.get(..20).unwrap_or(&e.key);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{key:<20}  {:>9}  {:>9}  {functions:>15}  {module}", size(e.bytes), ago(e.used));
    }
    text
}

fn stat(cache: &Cache, entries: &[CacheEntry]) -> String {
    let bytes: u64 = entries.iter().map(|e| e.bytes).sum();
    let code: u64 = entries.iter().filter_map(|e| e.contents.as_ref()).map(|c| c.code_bytes).sum();
    let usable = entries.iter().filter(|e| e.contents.as_ref().is_some_and(|c| c.usable)).count();
    format!(
        "{}\n{} entries, {} of {} at most\n{} of machine code\n{usable} for this version and processor\n",
        cache.path().display(),
        entries.len(),
        size(bytes),
        size(cache.limit()),
        size(code)
    )
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut n = bytes as f64;
    let mut unit = 0;
    while n >= 1000.0 && unit + 1 < UNITS.len() {
        n /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{n:.1} {}", UNITS[unit]) }
}

/// How long ago something was.
fn ago(then: SystemTime) -> String {
    let age = SystemTime::now().duration_since(then).unwrap_or(Duration::ZERO).as_secs();
    match age {
        0..60 => format!("{age} s"),
        60..3600 => format!("{} min", age / 60),
        3600..86400 => format!("{} h", age / 3600),
        _ => format!("{} d", age / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let cases =
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (12_345_678, "12.3 MB"), (u64::MAX, "18446744.1 TB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
