//! The command line: what commands and options there are.
//!
//! Out: a [`Command`] that makes sense by itself. Help, version and bad usage are dealt with here and do not return.

use crate::{net, quantity, settings, suggest};
use clap::builder::ValueHint;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  the guest's own, or:
  0    success
  1    a file is missing, invalid or does not link; an assertion failed
  2    bad usage
  124  --timeout ran out
  134  the guest trapped";

const EXAMPLES: &str = "\
`vm FILE ...` is `vm run FILE ...`.

Examples:
  vm run app.wasm                      run a program
  vm run --dir . app.wasm in.txt       and let it use the current directory
  vm run --invoke add math.wat 1 2     call one function
  vm aot app.wasm                      compile it now, so that it starts compiled
  vm inspect app.wasm                  see what a module imports and exports";

const RUN_EXAMPLES: &str = "\
Everything after FILE goes to the guest, flags and `--` included. A FILE that begins with a dash goes after `--`.

Examples:
  vm run app.wasm --verbose in.txt
  vm run --dir data::/data:ro --env HOME=/ --env LANG app.wasm
  vm run --invoke fib math.wat 30
  vm run --net connect:api.example.org:443,dns --listen 127.0.0.1:8080 server.wasm
  vm run --timeout 2s --max-memory 64M --fuel 1_000_000_000 untrusted.wasm
  vm run --preload env=lib.wasm app.wasm";

/// Runs WebAssembly programs.
#[derive(Parser, Debug)]
#[command(name = "vm", version, arg_required_else_help = true)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a program, or one function of a module
    Run(Box<RunArgs>),
    /// Compile all of a module ahead of time, into the cache or a file
    #[command(visible_alias = "compile")]
    Aot(AotArgs),
    /// Look at the cache of compiled code, or make it smaller
    Cache(CacheArgs),
    /// Check that modules are valid, every function of them
    Validate(ValidateArgs),
    /// Run conformance scripts (.wast)
    Wast(WastArgs),
    /// Show what a module imports, exports and consists of
    Inspect(InspectArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Arguments of `vm run`.
#[derive(Args, Debug, Default)]
#[command(override_usage = "vm run [OPTIONS] FILE [ARGS]...")]
#[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RunArgs {
    /// Let the guest use a directory, under another name or read-only if so desired
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]", value_parser = dir, value_hint = ValueHint::DirPath)]
    pub(crate) dirs: Vec<Dir>,

    /// Set an environment variable of the guest; without a value, pass on the one set here
    #[arg(long = "env", value_name = "K[=V]", value_parser = env_var)]
    pub(crate) env: Vec<EnvVar>,

    /// Let the guest use the network: all of it, or what GRANTS say (connect:HOST[:PORT],bind:ADDR[:PORT],dns,unix:PATH)
    #[arg(long, value_name = "GRANTS", num_args = 0..=1, default_missing_value = "all", value_parser = net::grants)]
    pub(crate) net: Vec<net::Grants>,

    /// Let the guest use AF_UNIX sockets at any path
    #[arg(long)]
    pub(crate) allow_af_unix: bool,

    /// Listen here and give the socket to the guest, as descriptor 3 and up
    #[arg(long, value_name = "ADDR", value_parser = net::listen)]
    pub(crate) listen: Vec<net::Listen>,

    /// Call this exported function with ARGS, and print its results
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,

    /// Make the exports of another module importable under NAME
    #[arg(long = "preload", value_name = "NAME=FILE", value_parser = preload)]
    pub(crate) preloads: Vec<Preload>,

    /// What to do about imports that nothing provides
    #[arg(long, value_name = "POLICY", default_value = "error")]
    pub(crate) unknown_imports: UnknownImports,

    /// Name of the program as the guest sees it, in place of FILE
    #[arg(long, value_name = "NAME")]
    pub(crate) argv0: Option<String>,

    /// Stop after this time, such as 500ms or 2s, counted from the start and whatever is going on then
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(crate) timeout: Option<Duration>,

    /// Stop the guest after about so many instructions
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    pub(crate) fuel: Option<u64>,

    /// Bytes that memories, tables and the heap of structs and arrays may grow to, each and all together, such as 64M; a module's compiled
    /// code may take as much again
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(crate) max_memory: Option<u64>,

    /// Bytes of stack for the guest's calls, such as 1M
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(crate) max_stack: Option<u64>,

    /// When to validate function bodies: at their first call, or all at once
    #[arg(long, value_name = "WHEN", default_value = "lazy")]
    pub(crate) validate: Validate,

    #[command(flatten)]
    pub(crate) execution: Execution,

    #[command(flatten)]
    pub(crate) compiler: Compiler,

    #[command(flatten)]
    pub(crate) cache: CacheChoice,

    /// Leave it at what was compiled while the guest ran: otherwise, once it is over, a process of lowest priority compiles what else it
    /// has run, for the next time
    #[arg(long)]
    pub(crate) no_fill: bool,

    /// Run the machine code of an artifact that this user has not signed: it can do whatever you can
    #[arg(long)]
    pub(crate) allow_precompiled: bool,

    /// At the end, say what was compiled, when, how long it took, and what was not
    #[arg(long)]
    pub(crate) stats: bool,

    /// Let `perf` know compiled functions
    #[arg(long, value_name = "FORMAT")]
    pub(crate) profile: Option<Profile>,

    /// Let GDB know compiled functions
    #[arg(long)]
    pub(crate) gdb: bool,

    /// The module (.wasm or .wat, `-` for standard input), and the guest's arguments
    #[arg(value_name = "FILE", required = true, num_args = 1.., trailing_var_arg = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file_and_args: Vec<OsString>,
}

/// Where compiled code is kept.
#[derive(Args, Debug, Default)]
pub(crate) struct CacheChoice {
    /// Keep compiled code in this directory, instead of VM_CACHE_DIR or the user's cache directory
    #[arg(long = "cache", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// Keep no compiled code, and use none that was kept
    #[arg(long, conflicts_with = "dir")]
    pub(crate) no_cache: bool,
}

impl CacheChoice {
    /// The same choice as arguments of a command.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let absolute = self.dir.iter().filter_map(|d| std::path::absolute(d).ok());
        absolute.flat_map(|d| ["--cache".into(), d.into()]).collect()
    }
}

/// Arguments of `vm aot`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without -o the code goes to the cache, where `vm run FILE` finds it. With -o it goes to a file that `vm run` takes in FILE's
place; FILE is in it, and is run instead where the code does not fit.

Examples:
  vm aot app.wasm
  vm aot app.wasm -o app.aot && vm run app.aot
  vm aot --target-cpu baseline,popcnt,avx2 app.wasm -o app.aot")]
pub(crate) struct AotArgs {
    /// Write the code to this file, or with `-` to standard output
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// The processor to compile for: `native`, `baseline`, and features to add, separated by commas
    #[arg(long, value_name = "CPU", default_value = "native", value_parser = quantity::processor)]
    pub(crate) target_cpu: vm::Processor,

    /// How much to improve the code: 0, 1 or 2
    #[arg(short = 'O', long = "optimise", alias = "optimize", value_name = "LEVEL", default_value = "2", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) optimise: u8,

    /// Let the code count fuel, for `vm run --fuel`
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Let the code be what `vm run --deterministic` wants
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// Let the code be interruptible, for `vm run --timeout`
    #[arg(long)]
    pub(crate) interruptible: bool,

    /// How memory accesses are kept in bounds; `auto` uses guard pages where it can
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub(crate) memory: Memory,

    /// How many threads compile. As many as there are processors if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) threads: Option<u64>,

    /// Stop after this time, such as 500ms or 2s
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(crate) timeout: Option<Duration>,

    /// Bytes of memory for it, as far as the system limits that
    #[arg(long, value_name = "SIZE", value_parser = quantity::size, hide = true, requires = "noted")]
    pub(crate) max_memory: Option<u64>,

    /// Compile what runs have noted, and give way to everybody else
    #[arg(long, hide = true, conflicts_with = "output")]
    pub(crate) noted: bool,

    /// Say how long each phase and the slowest functions took
    #[arg(long)]
    pub(crate) timings: bool,

    /// Say nothing unless something is wrong
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) cache: CacheChoice,

    #[command(flatten)]
    pub(crate) compiler: Compiler,

    /// The module (.wasm or .wat)
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

/// Arguments of `vm cache`.
#[derive(Args, Debug)]
pub(crate) struct CacheArgs {
    /// The cache, instead of VM_CACHE_DIR or the user's cache directory
    #[arg(long = "cache", value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub(crate) dir: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) action: CacheAction,
}

/// What to do with the cache.
#[derive(Subcommand, Debug)]
pub(crate) enum CacheAction {
    /// Print where it is
    Path,
    /// List what is in it
    List,
    /// Say how much is in it
    Stat,
    /// Remove everything
    Clean,
    /// Remove what has not been used for longest until the rest takes so many bytes at most
    Prune {
        /// Such as 500M
        #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
        max_size: Option<u64>,
    },
}

/// How functions are executed.
#[derive(Args, Debug, Default)]
pub(crate) struct Execution {
    /// What executes functions: the interpreter, compiled code, or first one and then the other
    #[arg(long, value_name = "TIER", default_value = "auto")]
    pub(crate) tier: Tier,

    /// With --tier auto, compile what has run about so often; with 0, move every loop over at its first iteration
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    pub(crate) tier_threshold: Option<u64>,

    /// How many threads compile; with 0 the guest waits for each function. One less than there are processors if not given
    #[arg(long, value_name = "N")]
    pub(crate) compile_threads: Option<usize>,

    /// How memory accesses are kept in bounds; `auto` uses guard pages where it can
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub(crate) memory: Memory,

    /// Compute the same bits in every tier and on every processor: each NaN that arithmetic makes is the canonical one
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// Collect garbage at every allocation, or at one in so many, to test programs and the collector
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    pub(crate) gc_stress: Option<u32>,
}

/// What of the compiler is used, to find out what is at fault.
#[derive(Args, Debug, Default)]
pub(crate) struct Compiler {
    /// Compile only these functions, and keep no code: an index, a range such as 120..140, or a name; with `!` before it all others
    #[arg(long, value_name = "FUNCTIONS", value_parser = settings::filter, help_heading = "Finding faults of the compiler")]
    pub(crate) jit_filter: Option<vm::CompileFilter>,

    /// Switch passes of the compiler off and on, such as -inline,-unroll or none,fold; random:N takes those that N chooses; `help` lists
    /// them
    #[arg(long, value_name = "PASSES", value_parser = settings::passes, help_heading = "Finding faults of the compiler")]
    #[arg(allow_hyphen_values = true)]
    pub(crate) jit_passes: Option<String>,
}

/// Arguments of `vm validate`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  vm validate app.wasm lib.wat")]
pub(crate) struct ValidateArgs {
    /// Stop after this time, such as 500ms or 2s
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(crate) timeout: Option<Duration>,

    /// The modules (.wasm or .wat)
    #[arg(value_name = "FILES", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `vm wast`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  vm wast --memory checked tests/*.wast")]
pub(crate) struct WastArgs {
    #[command(flatten)]
    pub(crate) execution: Execution,

    #[command(flatten)]
    pub(crate) compiler: Compiler,

    /// Count fuel, of which there is enough
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Stop each script after this time, such as 500ms or 2s
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(crate) timeout: Option<Duration>,

    /// The scripts
    #[arg(value_name = "FILES", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `vm inspect`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  vm inspect app.wasm\n  vm inspect --func main app.wasm\n  vm inspect --func 7 --stage asm app.wasm"
)]
pub(crate) struct InspectArgs {
    /// Show the code of this function
    #[arg(long, value_name = "N|NAME")]
    pub(crate) func: Option<String>,

    /// Which code of it: `bytecode` of the interpreter; of the compiler `ir`, `after:PASS`, `scheduled`, `lowered`, `allocated`, `asm`
    #[arg(long, value_name = "STAGE", default_value = "bytecode", requires = "func", value_parser = stage)]
    pub(crate) stage: Stage,

    #[command(flatten)]
    pub(crate) compiler: Compiler,

    /// Show the code that counts fuel, as with `vm run --fuel`
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Show the code that can be interrupted, as with `vm run --timeout`
    #[arg(long)]
    pub(crate) interruptible: bool,

    /// The module (.wasm or .wat)
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

/// Arguments of `vm completions`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  vm completions bash > ~/.local/share/bash-completion/completions/vm")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// `--unknown-imports`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum UnknownImports {
    /// List them and stop
    #[default]
    Error,
    /// Run, and trap when one is called
    Trap,
    /// Run, and let them return zero
    Default,
}

/// `--validate`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Validate {
    /// Each function at its first call
    #[default]
    Lazy,
    /// All before anything runs
    Eager,
}

/// `--memory`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Memory {
    /// Guard pages where type and system allow them
    #[default]
    Auto,
    /// Explicit checks always
    Checked,
    /// The same, and compiled code stays in bounds even while the processor runs ahead of a check
    Masked,
}

/// `--tier`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Tier {
    /// The interpreter
    Interp,
    /// Compiled code: all functions are compiled before the guest starts
    Jit,
    /// The interpreter at first; what runs often is compiled meanwhile
    #[default]
    Auto,
}

/// `--profile`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// Addresses and names in /tmp/perf-PID.map
    #[value(name = "perfmap")]
    PerfMap,
    /// Code with offsets in jit-PID.dump, for `perf record -k 1` and `perf inject --jit`
    #[value(name = "jitdump")]
    JitDump,
}

/// `--stage`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// What the interpreter runs, beside its WebAssembly.
    Bytecode,
    /// What the compiler makes.
    Of(vm::Stage),
}

/// `--dir HOST[::GUEST][:ro]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dir {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

/// `--env K[=V]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// `--preload NAME=FILE`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Preload {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

fn stage(text: &str) -> Result<Stage, String> {
    Ok(Stage::Of(match text {
        "bytecode" => return Ok(Stage::Bytecode),
        "ir" => vm::Stage::Ir,
        "scheduled" => vm::Stage::Scheduled,
        "lowered" => vm::Stage::Lowered,
        "allocated" => vm::Stage::Allocated,
        "asm" => vm::Stage::Asm,
        _ => {
            let bad = || "expected bytecode, ir, after:PASS, scheduled, lowered, allocated or asm".to_string();
            let pass = text.strip_prefix("after:").ok_or_else(bad)?;
            vm::Stage::After(vm::Pass::find(pass).map_err(|e| e.to_string())?)
        }
    }))
}

fn dir(text: &str) -> Result<Dir, String> {
    let (paths, read_only) = match text.strip_suffix(":ro") {
        Some(paths) => (paths, true),
        None => (text, false),
    };
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    if host.is_empty() || guest.is_empty() {
        return Err("expected HOST, HOST::GUEST or either with :ro".into());
    }
    Ok(Dir { host: host.into(), guest: guest.into(), read_only })
}

fn env_var(text: &str) -> Result<EnvVar, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("expected NAME or NAME=VALUE".into());
    }
    Ok(EnvVar { name: name.into(), value })
}

fn preload(text: &str) -> Result<Preload, String> {
    match text.split_once('=') {
        Some((name, file)) if !file.is_empty() => Ok(Preload { name: name.into(), file: file.into() }),
        _ => Err("expected NAME=FILE".into()),
    }
}

/// `vm run` with nothing but files and grants, which is what most invocations are: `None` for everything else. The full
/// definition takes as long to set up as a small guest takes to run.
fn quick(line: &[OsString]) -> Option<RunArgs> {
    let mut args = RunArgs::default();
    let mut rest = line.strip_prefix(&[OsString::from("run")])?;
    while let [word, more @ ..] = rest {
        let Some(option) = word.to_str().filter(|w| w.starts_with('-')) else {
            args.file_and_args = rest.to_vec();
            return Some(args);
        };
        let [value, more @ ..] = more else { return None };
        let value = value.to_str().filter(|v| !v.starts_with('-'))?;
        match option {
            "--dir" => args.dirs.push(dir(value).ok()?),
            "--env" => args.env.push(env_var(value).ok()?),
            _ => return None,
        }
        rest = more;
    }
    None
}

/// The commands, by all their names.
const COMMANDS: [&str; 9] = ["run", "aot", "compile", "cache", "validate", "wast", "inspect", "completions", "help"];

/// Puts `run` before a line that begins with a module.
fn with_command(mut line: Vec<OsString>) -> Vec<OsString> {
    let is_module = |word: &OsString| {
        let text = word.to_string_lossy();
        text == "-" || (!text.starts_with('-') && !COMMANDS.contains(&&*text) && suggest::looks_like_module(&text))
    };
    if line.first().is_some_and(is_module) {
        line.insert(0, "run".into());
    }
    line
}

/// Parses the command line of this process; help, version and errors end it.
pub(crate) fn parse() -> Command {
    let line = with_command(std::env::args_os().skip(1).collect());
    if let Some(run) = quick(&line) {
        return Command::Run(Box::new(run));
    }
    let takes_value = |name: &str| {
        let definition = definition();
        let run = definition.find_subcommand("run");
        let option = run.and_then(|run| run.get_arguments().find(|arg| arg.get_long() == Some(name)));
        option.is_some_and(|option| option.get_action().takes_values())
    };
    let command = line.first().map(|word| word.to_string_lossy().into_owned());
    let args = net::complete(std::env::args_os().take(1).chain(line).collect(), takes_value);
    match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(mut e) => {
            suggest::improve(&mut e, &definition(), command.as_deref());
            e.exit()
        }
    }
}

/// The definition of the whole command line, for completions.
pub(crate) fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn all_commands_are_known_by_all_their_names() {
        let definition = definition();
        let names = definition.get_subcommands().flat_map(|c| std::iter::once(c.get_name()).chain(c.get_all_aliases()));
        let mut names: Vec<&str> = names.chain(["help"]).collect();
        let mut known = COMMANDS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn a_line_that_begins_with_a_module_runs_it() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(with_command(words("a.wasm --x")), words("run a.wasm --x"));
        assert_eq!(with_command(words("- x")), words("run - x"));
        for other in ["aot a.wasm", "rnu a.wasm", "--version", "compile a.wasm", "-h"] {
            assert_eq!(with_command(words(other)), words(other));
        }
    }

    #[test]
    fn directories() {
        let d = |host: &str, guest: &str, read_only| Ok(Dir { host: host.into(), guest: guest.into(), read_only });
        assert_eq!(dir("."), d(".", ".", false));
        assert_eq!(dir("a:ro"), d("a", "a", true));
        assert_eq!(dir("a::/b"), d("a", "/b", false));
        assert_eq!(dir("a::/b:ro"), d("a", "/b", true));
        assert_eq!(dir("a:b::c"), d("a:b", "c", false));
        for bad in ["", "::", "a::", "::b", ":ro"] {
            assert!(dir(bad).is_err(), "{bad}");
        }
    }

    /// The guest's arguments for a command line.
    fn guest_args(line: &[&str]) -> Vec<String> {
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        run.file_and_args.iter().map(|a| a.to_str().unwrap().to_string()).collect()
    }

    #[test]
    fn simple_lines_mean_the_same_to_both_parsers() {
        let lines: [&[&str]; 7] = [
            &["run", "a.wasm"],
            &["run", "a.wasm", "--dir", "x", "--", "-y"],
            &["run", "--dir", ".", "a.wasm"],
            &["run", "--dir", "a::/b:ro", "--env", "A=1", "--env", "B", "a.wasm", "b"],
            &["run", "--env", "X==", "a", ""],
            &["run", "--env", "X=", "run"],
            &["run", ""],
        ];
        for line in lines {
            let words: Vec<OsString> = line.iter().map(OsString::from).collect();
            let Command::Run(full) = Cli::try_parse_from(["vm"].iter().chain(line)).unwrap().command else { panic!() };
            let quick = quick(&words).unwrap_or_else(|| panic!("{line:?}"));
            assert_eq!(format!("{quick:?}"), format!("{full:?}"));
        }
        let others: [&[&str]; 8] = [
            &["run"],
            &["run", "--", "a"],
            &["run", "--dir"],
            &["run", "--dir", "--env", "a"],
            &["run", "--dir=.", "a"],
            &["run", "--dir", "", "a"],
            &["run", "--tier", "jit", "a"],
            &["cache", "path"],
        ];
        for line in others {
            assert!(quick(&line.iter().map(OsString::from).collect::<Vec<_>>()).is_none(), "{line:?}");
        }
    }

    #[test]
    fn everything_after_the_file_is_the_guests() {
        assert_eq!(guest_args(&["vm", "run", "--fuel", "5", "a.wasm", "--fuel", "6"]), ["a.wasm", "--fuel", "6"]);
        assert_eq!(guest_args(&["vm", "run", "a.wasm", "--", "-x"]), ["a.wasm", "--", "-x"]);
        assert_eq!(guest_args(&["vm", "run", "a.wasm", "x", "--", "y"]), ["a.wasm", "x", "--", "y"]);
        assert_eq!(guest_args(&["vm", "run", "a.wasm", "--help", "-h"]), ["a.wasm", "--help", "-h"]);
        assert_eq!(guest_args(&["vm", "run", "--", "-a.wasm", "-x"]), ["-a.wasm", "-x"]);
    }
}
