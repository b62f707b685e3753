//! Suggestions for slips on the command line that clap's own measure of similarity misses.
//!
//! In: an error of clap, the definition of the command line, and the command given. Out: the same error with a tip where there is a
//! good one: swapped letters (`rnu`, `--dri`), an option of another command, or one that other runtimes have.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use std::path::Path;

/// Options of other runtimes, and what does the same here.
const HABITS: &[(&[&str], &str)] = &[
    (&["--mapdir", "--map-dir", "--volume", "-v", "--mount", "-d"], "directories are given with --dir HOST::GUEST"),
    (
        &["--memory-page-limit", "--max-memory-size", "--heap-size", "--memory-limit"],
        "--max-memory SIZE limits memory, in bytes: a page has 64K",
    ),
    (&["--gas-limit", "--enable-gas-measuring", "--metering"], "--fuel N limits how many instructions are executed"),
    (&["--time-limit", "--wasm-timeout", "--time-out"], "--timeout DURATION stops the guest, such as --timeout 2s"),
    (
        &["--reactor", "--entrypoint", "--entry", "-e", "-f", "--function"],
        "--invoke NAME calls a function; reactors are initialised before",
    ),
    (&["--stack-size", "--max-wasm-stack", "--wasm-stack"], "--max-stack SIZE limits the stack"),
    (
        &["-S", "--wasi", "--inherit-env"],
        "--env NAME passes a variable on, --net opens the network, --dir gives a directory",
    ),
    (
        &["-W", "--wasm"],
        "--fuel, --timeout, --max-memory and --max-stack set limits; proposals are on (docs/PROPOSALS.md)",
    ),
    (
        &[
            "-C",
            "--codegen",
            "-D",
            "--debug",
            "--cranelift",
            "--singlepass",
            "--llvm",
            "--jit",
            "--interpreter",
            "--interp",
            "--force-interpreter",
        ],
        "--tier interp, jit or auto says what executes functions",
    ),
    (
        &[
            "--enable-all",
            "--enable-threads",
            "--enable-simd",
            "--enable-gc",
            "--enable-tail-call",
            "--enable-memory64",
            "--enable-exception-handling",
            "--all-features",
        ],
        "leave it out: proposals are on (docs/PROPOSALS.md)",
    ),
    (
        &["--allow-net", "--net-all", "--inherit-network", "--addr-pool", "--allow-ip", "--enable-net"],
        "--net opens the network, wholly or in part",
    ),
    (&["--tcplisten", "--tcp-listen"], "--listen ADDRESS:PORT gives the guest a listener"),
    (
        &["--optimize", "--optimise", "-O", "--opt-level"],
        "`vm run` compiles with all optimisations; `vm aot -O LEVEL` chooses",
    ),
    (&["--cache-dir"], "--cache DIR keeps compiled code there"),
    (&["--disable-cache"], "--no-cache does without the cache"),
    (&["--allow-command"], "guests cannot start other programs"),
];

/// Adds a tip to an error of a command.
pub(crate) fn improve(e: &mut Error, definition: &Command, command: Option<&str>) {
    match e.kind() {
        ErrorKind::InvalidSubcommand => {
            let Some(given) = string(e, ContextKind::InvalidSubcommand) else { return };
            let names = definition.get_subcommands().map(Command::get_name);
            if e.get(ContextKind::SuggestedSubcommand).is_none()
                && let Some(name) = nearest(&given, names)
            {
                tip(e, format!("a similar subcommand exists: '{name}'"));
            }
        }
        ErrorKind::UnknownArgument => {
            let Some(given) = string(e, ContextKind::InvalidArg) else { return };
            let given = given.split('=').next().unwrap_or_default();
            let known = |c: &Command| has(c, given);
            let own = |c: &&Command| {
                command.is_some_and(|name| c.get_name() == name || c.get_all_aliases().any(|a| a == name))
            };
            let others =
                definition.get_subcommands().filter(|c| !own(c) && known(c)).map(|c| format!("`vm {}`", c.get_name()));
            let others: Vec<String> = others.collect();
            let habit = HABITS.iter().find(|(options, _)| options.contains(&given)).map(|(_, ours)| ours);
            if let (Some(ours), true) = (habit, others.is_empty() || command == Some("run")) {
                return retip(e, (*ours).to_string());
            }
            if !others.is_empty() {
                return retip(e, format!("'{given}' is an option of {}", others.join(", ")));
            }
            let options = definition.get_subcommands().filter(|c| own(c) || command.is_none());
            let options = options.flat_map(Command::get_arguments).filter_map(|a| a.get_long());
            match given.strip_prefix("--").and_then(|given| nearest(given, options)) {
                // What is close is a better guess than what begins alike.
                Some(name) => retip(e, format!("a similar option exists: '--{name}'")),
                None if e.get(ContextKind::SuggestedArg).is_some() => {}
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

/// Whether a command has an option, long or short.
fn has(command: &Command, option: &str) -> bool {
    let long = option.strip_prefix("--");
    let short = option.strip_prefix('-').filter(|o| o.chars().count() == 1).and_then(|o| o.chars().next());
    command
        .get_arguments()
        .any(|a| (long.is_some() && a.get_long() == long) || (short.is_some() && a.get_short() == short))
}

/// The tip in place of clap's own.
fn retip(e: &mut Error, text: String) {
    e.remove(ContextKind::SuggestedArg);
    tip(e, text);
}

pub(crate) fn looks_like_module(given: &str) -> bool {
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
    fn options_of_others_are_none_of_ours() {
        let definition = crate::args::definition();
        let run = definition.find_subcommand("run").unwrap();
        for option in HABITS.iter().flat_map(|(options, _)| *options) {
            assert!(!has(run, option), "{option}");
        }
        assert!(has(run, "--dir") && has(definition.find_subcommand("aot").unwrap(), "-O"));
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
