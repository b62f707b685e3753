//! Suggestions for slips on the command line that clap's own measure of similarity misses.
//!
//! In: an error of clap and the definition of the command line. Out: the same error with a tip where there is a good
//! one: swapped letters (`rnu`, `--dri`), or a module in the place of a command (`vm app.wasm`).

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use std::path::Path;

/// Adds a tip to an error.
pub(crate) fn improve(e: &mut Error, definition: &Command) {
    match e.kind() {
        ErrorKind::InvalidSubcommand => {
            let Some(given) = string(e, ContextKind::InvalidSubcommand) else { return };
            let names = definition.get_subcommands().map(Command::get_name);
            if looks_like_module(&given) {
                tip(e, format!("to run a module, use `vm run {given}`"));
            } else if e.get(ContextKind::SuggestedSubcommand).is_none()
                && let Some(name) = nearest(&given, names)
            {
                tip(e, format!("a similar subcommand exists: '{name}'"));
            }
        }
        ErrorKind::UnknownArgument => {
            let Some(given) = string(e, ContextKind::InvalidArg) else { return };
            // Which command was given is not part of the error: any option of any of them may be meant.
            let options = definition.get_subcommands().flat_map(Command::get_arguments).filter_map(|a| a.get_long());
            let wanted = given.strip_prefix("--").and_then(|given| nearest(given, options));
            if e.get(ContextKind::SuggestedArg).is_some() {
                return;
            }
            match wanted {
                Some(name) => tip(e, format!("a similar option exists: '--{name}'")),
                // clap's tip to pass it as a value hides that there is no such option.
                None => drop(e.remove(ContextKind::Suggested)),
            }
        }
        _ => {}
    }
}

fn string(e: &Error, kind: ContextKind) -> Option<String> {
    match e.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn tip(e: &mut Error, text: String) {
    e.remove(ContextKind::SuggestedSubcommand);
    e.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text.into()]));
}

fn looks_like_module(given: &str) -> bool {
    let path = Path::new(given);
    path.extension().is_some_and(|x| x == "wasm" || x == "wat") || path.is_file()
}

/// The name closest to what was given, if it is close: one slip in a short name, two in a longer one.
fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips = if given.len() < 6 { 1 } else { 2 };
    names
        .map(|name| (distance(given.as_bytes(), name.as_bytes()), name))
        .filter(|(d, _)| *d <= slips)
        .min()
        .map(|x| x.1)
}

/// How many letters must be inserted, left out, replaced or swapped with a neighbour to get from one to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in
            [("run", "run", 0), ("rnu", "run", 1), ("", "ab", 2), ("invok", "invoke", 1), ("abc", "cba", 2)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), d, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_close_is_suggested() {
        let names = ["run", "validate", "wast"];
        assert_eq!(nearest("rnu", names.into_iter()), Some("run"));
        assert_eq!(nearest("wasr", names.into_iter()), Some("wast"));
        assert_eq!(nearest("vlaidaet", names.into_iter()), Some("validate"));
        assert_eq!(nearest("dir", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
    }
}
