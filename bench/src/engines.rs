//! The engines: one table of how each is called, and which of them work on this machine.
//!
//! In: the path of our own binary and PATH. Out: `Engine`s that have just run `hello` with the right output.
//! Invariant: an engine that refuses its command line, or prints something else, is never measured.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::kernels::{HELLO_OUTPUT, Kernel};
use crate::process::{self, Outcome};

/// Where a module's path goes in an argument list.
const FILE: &str = "{file}";
/// Where the compiled artifact's path goes.
const ARTIFACT: &str = "{artifact}";

/// An engine's version and its answer to `hello` are there at once.
const PROBE_LIMIT: Duration = Duration::from_secs(60);
const COMPILE_LIMIT: Duration = Duration::from_secs(600);

/// How an engine is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The name on our command line and in tables.
    pub(crate) name: &'static str,
    /// Names under which the program may be installed.
    programs: &'static [&'static str],
    version: &'static [&'static str],
    /// Compiles FILE into ARTIFACT; empty when the engine does that while it runs.
    compile: &'static [&'static str],
    /// Runs FILE or ARTIFACT; the kernel's arguments follow. Several forms: the first that works is taken.
    run: &'static [&'static [&'static str]],
    /// Whether it takes part without being asked for. Slow interpreters do not.
    by_default: bool,
}

/// The program itself, compiled for this machine by the same compiler: what all others are divided by.
pub(crate) const NATIVE: &str = "native";

/// The name under which our own binary is looked for.
const OWN: &str = "vm";

const SPECS: &[Spec] = &[
    own("vm-interp", &[], &[&["run", "--no-cache", "--tier", "interp", FILE]]),
    own("vm-jit", &[], &[&["run", "--no-cache", "--tier", "jit", FILE]]),
    own("vm-auto", &[], &[&["run", "--no-cache", "--tier", "auto", FILE]]),
    own("vm-aot", &["aot", "--quiet", FILE, "-o", ARTIFACT], &[&["run", ARTIFACT]]),
    Spec {
        name: "wasmtime",
        programs: &["wasmtime"],
        version: &["--version"],
        compile: &["compile", FILE, "-o", ARTIFACT],
        run: &[&["run", "--allow-precompiled", ARTIFACT]],
        by_default: true,
    },
    Spec {
        name: "wasmtime-jit",
        programs: &["wasmtime"],
        version: &["--version"],
        compile: &[],
        run: &[&["run", "-C", "cache=n", FILE]],
        by_default: true,
    },
    Spec {
        name: "wasmtime-winch",
        programs: &["wasmtime"],
        version: &["--version"],
        compile: &[],
        run: &[&["run", "-C", "cache=n", "-C", "compiler=winch", FILE]],
        by_default: false,
    },
    Spec {
        name: "wasmtime-pulley",
        programs: &["wasmtime"],
        version: &["--version"],
        compile: &["compile", "--target", "pulley64", FILE, "-o", ARTIFACT],
        run: &[&["run", "--target", "pulley64", "--allow-precompiled", ARTIFACT]],
        by_default: false,
    },
    Spec {
        name: "wasmedge",
        programs: &["wasmedge"],
        version: &["--version"],
        compile: &["compile", FILE, ARTIFACT],
        run: &[&["--run-mode", "aot", ARTIFACT], &[ARTIFACT]],
        by_default: true,
    },
    Spec {
        name: "wasmedge-interp",
        programs: &["wasmedge"],
        version: &["--version"],
        compile: &[],
        run: &[&["--force-interpreter", FILE], &[FILE]],
        by_default: false,
    },
    Spec {
        name: "wasmi",
        programs: &["wasmi_cli", "wasmi"],
        version: &["--version"],
        compile: &[],
        run: &[&["run", FILE], &[FILE]],
        by_default: true,
    },
    Spec {
        name: "wasm3",
        programs: &["wasm3"],
        version: &["--version"],
        compile: &[],
        run: &[&[FILE]],
        by_default: true,
    },
    Spec {
        name: "iwasm",
        programs: &["iwasm"],
        version: &["--version"],
        compile: &[],
        run: &[&[FILE]],
        by_default: true,
    },
];

const fn own(name: &'static str, compile: &'static [&'static str], run: &'static [&'static [&'static str]]) -> Spec {
    Spec { name, programs: &[OWN], version: &["--version"], compile, run, by_default: true }
}

/// An engine that works here.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) spec: Spec,
    /// The first line of what it says about its version.
    pub(crate) version: String,
    program: PathBuf,
    run: &'static [&'static str],
}

/// The engines that work, and why the others do not.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) engines: Vec<Engine>,
    pub(crate) absent: Vec<(&'static str, String)>,
}

impl Spec {
    /// Whether the column belongs to this project's own binary.
    pub(crate) fn is_own(&self) -> bool {
        self.programs == [OWN]
    }
}

impl Engine {
    /// Whether modules are compiled before they are run.
    pub(crate) fn compiles(&self) -> bool {
        !self.spec.compile.is_empty()
    }

    /// Where the artifact of a module goes.
    pub(crate) fn artifact(&self, directory: &Path, name: &str) -> PathBuf {
        directory.join(format!("{name}.{}", self.spec.name))
    }

    /// Compiles a module ahead of time.
    pub(crate) fn compile(&self, wasm: &Path, artifact: &Path) -> Result<Outcome> {
        process::run(&mut command(&self.program, self.spec.compile, wasm, artifact), COMPILE_LIMIT)
    }

    /// The command that runs a module, or its artifact, with `arguments`.
    pub(crate) fn command(&self, wasm: &Path, artifact: &Path, arguments: &[String]) -> Command {
        let mut command = command(&self.program, self.run, wasm, artifact);
        command.args(arguments);
        command
    }
}

/// Names of all engines, for messages and for the command line.
pub(crate) fn names() -> String {
    std::iter::once(NATIVE).chain(SPECS.iter().map(|spec| spec.name)).collect::<Vec<_>>().join(", ")
}

/// Finds the engines asked for (those that take part by default when `wanted` is empty) and tries each on `hello`.
pub(crate) fn find(wanted: &[String], own: Option<&Path>, hello: &Kernel, artifacts: &Path) -> Result<Found> {
    if let Some(name) = wanted.iter().find(|name| *name != NATIVE && SPECS.iter().all(|spec| spec.name != **name)) {
        return Err(Error::UnknownEngine { name: name.clone(), known: names() });
    }
    let mut found = Found::default();
    for spec in SPECS {
        let asked = if wanted.is_empty() { spec.by_default } else { wanted.iter().any(|name| name == spec.name) };
        if asked {
            match probe(*spec, own, hello, artifacts) {
                Ok(engine) => found.engines.push(engine),
                Err(reason) => found.absent.push((spec.name, reason)),
            }
        }
    }
    if found.engines.is_empty() && !wanted.is_empty() && wanted.iter().all(|name| name != NATIVE) {
        return Err(Error::NoEngines);
    }
    Ok(found)
}

/// Every engine in the table, working or not: for `bench engines`.
pub(crate) fn find_all(own: Option<&Path>, hello: &Kernel, artifacts: &Path) -> Found {
    let mut found = Found::default();
    for spec in SPECS {
        match probe(*spec, own, hello, artifacts) {
            Ok(engine) => found.engines.push(engine),
            Err(reason) => found.absent.push((spec.name, reason)),
        }
    }
    found
}

/// Whether the engine is installed, and which form of its command line runs `hello`.
fn probe(spec: Spec, own: Option<&Path>, hello: &Kernel, artifacts: &Path) -> std::result::Result<Engine, String> {
    let program = match own {
        Some(own) if spec.is_own() => Some(own.to_owned()),
        _ => spec.programs.iter().find_map(|program| on_path(program)),
    }
    .ok_or_else(|| format!("{} is not on PATH", spec.programs.join(" or ")))?;
    let version = process::run(Command::new(&program).args(spec.version), PROBE_LIMIT).map_err(|e| e.to_string())?;
    let version = if version.status.success() { first_line(&version.stdout) } else { None };
    let version = version.unwrap_or_else(|| "version unknown".to_owned());
    let mut engine = Engine { spec, version, program, run: &[] };
    let artifact = engine.artifact(artifacts, &hello.name);
    if engine.compiles() {
        let outcome = engine.compile(&hello.wasm, &artifact).map_err(|e| e.to_string())?;
        if let Some(failure) = outcome.failure() {
            return Err(format!("cannot compile hello: {failure}"));
        }
    }
    let mut reason = String::new();
    for form in spec.run {
        engine.run = form;
        let outcome = process::run(&mut engine.command(&hello.wasm, &artifact, &[]), PROBE_LIMIT);
        match outcome.map(|outcome| (outcome.failure(), outcome)) {
            Ok((None, outcome)) if outcome.stdout == HELLO_OUTPUT => return Ok(engine),
            Ok((None, outcome)) => reason = format!("hello printed {:?}", String::from_utf8_lossy(&outcome.stdout)),
            Ok((Some(failure), _)) => reason = failure,
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Some programs print the path they were called by; only its last part says something.
    Some(line.split(' ').map(|word| word.rsplit('/').next().unwrap_or(word)).collect::<Vec<_>>().join(" "))
}

fn command(program: &Path, template: &[&str], wasm: &Path, artifact: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(template.iter().map(|part| match *part {
        FILE => wasm.as_os_str().to_owned(),
        ARTIFACT => artifact.as_os_str().to_owned(),
        part => OsString::from(part),
    }));
    command
}

/// The first executable file of that name in the directories of PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| is_executable(file))
}

/// Our own binary: beside this one (both come out of the same build), or on PATH.
pub(crate) fn own_binary() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(OWN)));
    beside.filter(|file| is_executable(file)).or_else(|| on_path(OWN))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Kernel {
        Kernel { name: "hello".to_owned(), wasm: PathBuf::from("/nowhere/hello.wasm"), native: None, expected: None }
    }

    #[test]
    fn every_engine_has_a_command_line_with_a_place_for_the_module() {
        for spec in SPECS {
            let place = if spec.compile.is_empty() { FILE } else { ARTIFACT };
            assert!(spec.run.iter().all(|form| form.contains(&place)), "{}", spec.name);
            assert!(spec.compile.is_empty() || spec.compile.contains(&FILE) && spec.compile.contains(&ARTIFACT));
            assert_eq!(SPECS.iter().filter(|other| other.name == spec.name).count(), 1, "{}", spec.name);
        }
    }

    #[test]
    fn templates_are_filled_in() {
        let command = command(Path::new("engine"), &["run", ARTIFACT, FILE], Path::new("a.wasm"), Path::new("b c.so"));
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["run", "b c.so", "a.wasm"]);
    }

    #[test]
    fn an_unknown_engine_is_an_error_that_names_the_known() {
        let error = find(&["v9".to_owned()], None, &hello(), Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("`v9`") && error.contains("wasmtime-jit"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_print_hello_is_not_an_engine() {
        // `true` succeeds at everything and prints nothing; `false` fails at everything.
        for (program, why) in [("true", "hello printed \"\""), ("false", "exit status: 1")] {
            let own = on_path(program).expect("true and false are everywhere");
            let reason = probe(SPECS[0], Some(&own), &hello(), Path::new("/nowhere")).unwrap_err();
            assert!(reason.starts_with(why), "{program}: {reason}");
        }
    }

    #[test]
    fn versions_do_not_show_where_a_program_lies() {
        assert_eq!(first_line(b"\n/opt/x/bin/engine version 1.2\nmore\n").as_deref(), Some("engine version 1.2"));
        assert_eq!(first_line(b"\n\n"), None);
    }
}
