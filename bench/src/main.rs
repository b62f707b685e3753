//! `bench`: compares this runtime with others that are installed, and with native code.
//!
//! In: a command line. Out: tables on standard output, progress on standard error. Exit status 0 when everything that
//! was measured printed the same; 1 when an engine printed something else, when this project's own binary failed, or
//! when the comparison itself could not be made; 2 for a wrong command line.

mod engines;
mod error;
mod held;
mod http;
mod kernels;
mod measure;
mod process;
mod report;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::engines::Found;
use crate::error::{Error, Result};
use crate::kernels::{Directories, HELLO, Kernel};
use crate::measure::{Cell, Column, Row, Task, measure};
use crate::report::Format;

/// Compares this WebAssembly runtime with others found on PATH, and with native code
///
/// Every kernel is a small C program, compiled to WebAssembly (committed) and natively (built with zig when it is on
/// PATH). Runs are interleaved; shown is the median CPU time (user and system) of the whole process, and its ratio to
/// the native program's. All engines have to print the same checksum.
#[derive(Debug, Parser)]
#[command(name = "bench", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The repository [default: the current directory or one above it]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    /// Our binary [default: `vm` beside this program, or on PATH]
    #[arg(long, global = true, value_name = "FILE")]
    vm: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run time of the kernels
    Compare(Compare),
    /// Run time of programs on garbage-collected objects, by default of this project and wasmtime
    Gc(Compare),
    /// What a whole process costs: hello world, or a module of your own
    Startup(Startup),
    /// CPU time per request of an HTTP server under load (needs `wrk`)
    Http(Http),
    /// Both tables as Markdown, for a README
    Markdown(Compare),
    /// Which engines work here, and why the others do not
    Engines,
}

#[derive(Debug, Clone, Args)]
struct Compare {
    /// Kernels, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    kernels: Vec<String>,
    /// Engines, separated by commas; `native` is one [default: all but the slow ones]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    engines: Vec<String>,
    /// Runs per kernel and engine
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// How much a kernel does: about 0.07 s or 1 s natively
    #[arg(long, value_enum, default_value_t = Scale::Small)]
    scale: Scale,
    /// How the tables are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Seconds that one run may take
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
}

#[derive(Debug, Args)]
struct Startup {
    /// Engines, separated by commas [default: all but the slow ones]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    engines: Vec<String>,
    /// Runs per engine
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// How the table is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A WASI module to start instead of hello world
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// Arguments of the module
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
struct Http {
    /// Numbers of connections, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", default_value = "10,100,1000")]
    connections: Vec<u32>,
    /// Idle connections beside one busy one
    #[arg(long, default_value_t = 1000)]
    idle: u32,
    /// Seconds per run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Runs per figure, of which the median is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Idle connections to hold in order to tell what one costs in memory; 0 for none
    #[arg(long, default_value_t = 10_000)]
    held: u32,
    /// Take no part of WasmEdge
    #[arg(long)]
    without_wasmedge: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scale {
    Small,
    Large,
}

/// Engines that have a collector.
const GC_ENGINES: &[&str] = &["vm-auto", "vm-aot", "wasmtime", "wasmtime-jit"];

const STARTUP_LIMIT: Duration = Duration::from_secs(120);
const STARTUP_RUNS: u16 = 15;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads the table has seen enough of it.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries the command out; `false` when a result was wrong.
fn run(arguments: &Arguments) -> Result<bool> {
    let context = Context {
        directories: Directories::find(arguments.root.as_deref())?,
        vm: arguments.vm.clone().or_else(engines::own_binary),
    };
    match &arguments.command {
        Command::Compare(compare) => context.compare(compare, compare.format),
        Command::Gc(compare) => context.gc(compare),
        Command::Startup(startup) => context.startup(startup),
        Command::Http(options) => context.http(options),
        Command::Markdown(compare) => {
            let compared = context.compare(compare, Format::Markdown)?;
            writeln!(std::io::stdout())?;
            let startup = Startup {
                engines: compare.engines.clone(),
                runs: STARTUP_RUNS,
                format: Format::Markdown,
                module: None,
                arguments: Vec::new(),
            };
            Ok(context.startup(&startup)? && compared)
        }
        Command::Engines => context.list_engines(),
    }
}

/// Where things are.
struct Context {
    directories: Directories,
    vm: Option<PathBuf>,
}

impl Context {
    fn compare(&self, options: &Compare, format: Format) -> Result<bool> {
        let kernels = self.directories.select(&options.kernels)?;
        self.compare_all(kernels, options, format)
    }

    fn gc(&self, options: &Compare) -> Result<bool> {
        let kernels = kernels::pick(&self.directories.gc()?, &options.kernels)?;
        let mut options = options.clone();
        if options.engines.is_empty() {
            options.engines = GC_ENGINES.iter().map(|&name| name.to_owned()).collect();
        }
        self.compare_all(kernels, &options, options.format)
    }

    fn compare_all(&self, mut kernels: Vec<Kernel>, options: &Compare, format: Format) -> Result<bool> {
        let (columns, found) = self.columns(&options.engines, &mut kernels)?;
        let artifacts = self.directories.artifacts()?;
        let mut rows = Vec::new();
        let mut progress = Progress::new(kernels.len());
        for kernel in &kernels {
            progress.step(&kernel.name);
            let scale = options.scale.to_possible_value().map(|value| value.get_name().to_owned());
            let task = Task {
                kernel: kernel.clone(),
                arguments: scale.into_iter().collect(),
                expected: kernel.expected.clone().filter(|_| options.scale == Scale::Small),
                runs: usize::from(options.runs),
                limit: Duration::from_secs(u64::from(options.timeout)),
            };
            rows.push(measure(&columns, &task, &artifacts)?);
        }
        progress.end();
        let names: Vec<String> = kernels.into_iter().map(|kernel| kernel.name).collect();
        let table = match format {
            Format::Csv => report::long(&columns, &names, &rows),
            Format::Text | Format::Markdown => report::comparison(&columns, &names, &rows),
        };
        let notes = report::notes(&columns, &names, &rows, &found.absent);
        print(&table.render(format), &notes, format)?;
        Ok(all_right(&columns, &rows))
    }

    fn startup(&self, options: &Startup) -> Result<bool> {
        let hello = self.directories.kernel(HELLO);
        let mut kernels = vec![match &options.module {
            Some(file) => Kernel { name: "module".to_owned(), wasm: file.clone(), native: None, expected: None },
            None => hello,
        }];
        let (mut columns, found) = match options.module {
            None => self.columns(&options.engines, &mut kernels)?,
            Some(_) => self.columns(&options.engines, &mut [])?,
        };
        if options.module.is_some() {
            columns.retain(|column| !matches!(column, Column::Native));
        }
        let kernel = kernels.remove(0);
        let task = Task {
            expected: kernel.expected.clone(),
            kernel,
            arguments: options.arguments.clone(),
            runs: usize::from(options.runs),
            limit: STARTUP_LIMIT,
        };
        let name = options.module.as_ref().map_or_else(|| HELLO.to_owned(), |file| file.display().to_string());
        let row = measure(&columns, &task, &self.directories.artifacts()?)?;
        let table = report::startup(&columns, &row);
        let notes = report::notes(&columns, &[name], std::slice::from_ref(&row), &found.absent);
        print(&table.render(options.format), &notes, options.format)?;
        Ok(all_right(&columns, &[row]))
    }

    fn http(&self, options: &Http) -> Result<bool> {
        let programs = http::Programs {
            vm: self.vm.clone().ok_or(Error::NoEngines)?,
            wasmedge: engines::on_path("wasmedge").filter(|_| !options.without_wasmedge),
            guests: self.directories.guests(),
            out: self.directories.artifacts()?,
        };
        let load = http::Load {
            connections: options.connections.clone(),
            idle: options.idle,
            seconds: options.seconds,
            runs: options.runs,
            held: options.held,
        };
        let text = http::compare(&programs, &load)?;
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(true)
    }

    fn list_engines(&self) -> Result<bool> {
        let hello = self.directories.kernel(HELLO);
        let found = engines::find_all(self.vm.as_deref(), &hello, &self.directories.artifacts()?);
        let mut out = std::io::stdout().lock();
        for engine in &found.engines {
            writeln!(out, "{:<16} {}", engine.spec.name, engine.version)?;
        }
        for (name, reason) in &found.absent {
            writeln!(out, "{name:<16} not here: {reason}")?;
        }
        Ok(true)
    }

    /// The columns of a table. Native programs that are missing are built, and their column left out if that cannot be.
    fn columns(&self, wanted: &[String], kernels: &mut [Kernel]) -> Result<(Vec<Column>, Found)> {
        let artifacts = self.directories.artifacts()?;
        let hello = self.directories.kernel(HELLO);
        let mut found = engines::find(wanted, self.vm.as_deref(), &hello, &artifacts)?;
        let mut columns = Vec::new();
        if wanted.is_empty() || wanted.iter().any(|name| name == engines::NATIVE) {
            let built = self.directories.build_native(kernels)?;
            if !built.is_empty() {
                eprintln!("built natively: {}", built.join(", "));
            }
            if kernels.iter().any(|kernel| kernel.native.is_some()) {
                columns.push(Column::Native);
            } else if !kernels.is_empty() {
                found.absent.push((engines::NATIVE, "the programs are not built, and zig is not on PATH".to_owned()));
            }
        }
        columns.extend(found.engines.iter().cloned().map(Column::Engine));
        if columns.is_empty() { Err(Error::NoEngines) } else { Ok((columns, found)) }
    }
}

/// Nothing was wrong, and our own engine failed nowhere.
fn all_right(columns: &[Column], rows: &[Row]) -> bool {
    rows.iter().all(|row| {
        columns.iter().zip(&row.cells).all(|(column, cell)| match cell {
            Cell::Measured(_) => true,
            Cell::Failed(_) => !column.is_own(),
            Cell::Wrong(_) => false,
        })
    })
}

fn print(table: &str, notes: &[String], format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{table}")?;
    write!(out, "{}", report::render_notes(notes, format))?;
    Ok(())
}

/// The name of the kernel at work, on a terminal only.
struct Progress {
    shown: bool,
    done: usize,
    all: usize,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { shown: std::io::stderr().is_terminal(), done: 0, all }
    }

    fn step(&mut self, name: &str) {
        self.done += 1;
        if self.shown {
            eprint!("\r\x1b[K[{}/{}] {name}", self.done, self.all);
        }
    }

    fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_answer_and_a_failure_of_our_own_are_failures() {
        let row = |cell| Row { cells: vec![cell], compile: vec![None] };
        assert!(all_right(&[Column::Native], &[row(Cell::Measured(Vec::new()))]));
        assert!(all_right(&[Column::Native], &[row(Cell::Failed(String::new()))]));
        assert!(!all_right(&[Column::Native], &[row(Cell::Wrong(String::new()))]));
    }
}
