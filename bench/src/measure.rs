//! Runs programs in several engines and collects what each run cost.
//!
//! In: the columns (engines, and the native program) and what to run in them. Out: one `Cell` per column with every
//! run's costs. Invariants: runs of different engines are interleaved, in an order that rotates, so that a change in
//! the machine's speed meets all of them; a cell holds costs only if every run of it ended well and printed what was
//! expected, or else what the first column printed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::engines::{Engine, NATIVE};
use crate::error::Result;
use crate::kernels::Kernel;
use crate::process::{self, Outcome};

/// What the columns of a table stand for.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Native,
    Engine(Engine),
}

impl Column {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Native => NATIVE,
            Self::Engine(engine) => engine.spec.name,
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Engine(engine) if engine.spec.is_own())
    }
}

/// All runs of one program in one engine.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Measured(Vec<Cost>),
    /// Why it could not be measured, in one line.
    Failed(String),
    /// It ran to its end and printed something else than the reference.
    Wrong(String),
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) peak_memory: u64,
}

impl Cell {
    /// Median CPU time in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Option<f64> {
        self.median(|cost| cost.cpu.as_secs_f64() * 1e3)
    }

    /// Median wall time in milliseconds.
    pub(crate) fn wall_ms(&self) -> Option<f64> {
        self.median(|cost| cost.wall.as_secs_f64() * 1e3)
    }

    /// Median of the runs' peaks of memory, in MB.
    #[expect(clippy::cast_precision_loss, reason = "sizes of memories are far below 2^53")]
    pub(crate) fn memory_mb(&self) -> Option<f64> {
        self.median(|cost| cost.peak_memory as f64 / 1e6)
    }

    /// Why there is no measurement.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Self::Measured(_) => None,
            Self::Failed(reason) | Self::Wrong(reason) => Some(reason),
        }
    }

    fn median(&self, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        match self {
            Self::Measured(costs) => median(costs.iter().map(of).collect()),
            Self::Failed(_) | Self::Wrong(_) => None,
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// A program as every column gets it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) kernel: Kernel,
    pub(crate) arguments: Vec<String>,
    /// What has to be printed; `None`: what the first good run prints.
    pub(crate) expected: Option<Vec<u8>>,
    pub(crate) runs: usize,
    pub(crate) limit: Duration,
}

/// What a task gave: a cell per column, and the CPU time that engines took to compile it beforehand.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) compile: Vec<Option<Duration>>,
}

/// Compiles where an engine compiles beforehand, then runs the task `runs` times in every column.
pub(crate) fn measure(columns: &[Column], task: &Task, artifacts: &Path) -> Result<Row> {
    let mut row = Row { cells: Vec::new(), compile: Vec::new() };
    for column in columns {
        let (cell, compile) = prepare(column, &task.kernel, artifacts)?;
        row.cells.push(cell);
        row.compile.push(compile);
    }
    let mut reference = task.expected.clone();
    for run in 0..task.runs {
        // The first round keeps the order, so that the reference is the first column that works.
        for offset in 0..columns.len() {
            let at = (run + offset) % columns.len();
            let Cell::Measured(costs) = &mut row.cells[at] else { continue };
            let outcome = process::run(&mut command(&columns[at], task, artifacts), task.limit)?;
            match judge(&outcome, &mut reference) {
                Ok(()) => costs.push(cost(&outcome)),
                Err(problem) => row.cells[at] = problem,
            }
        }
    }
    Ok(row)
}

/// An empty cell to collect costs in, or the reason why there can be none.
fn prepare(column: &Column, kernel: &Kernel, artifacts: &Path) -> Result<(Cell, Option<Duration>)> {
    let ready = Cell::Measured(Vec::new());
    match column {
        Column::Native if kernel.native.is_none() => Ok((Cell::Failed("no native program".to_owned()), None)),
        Column::Engine(engine) if engine.compiles() => {
            let outcome = engine.compile(&kernel.wasm, &engine.artifact(artifacts, &kernel.name))?;
            Ok(match outcome.failure() {
                Some(failure) => (Cell::Failed(format!("cannot compile: {failure}")), None),
                None => (ready, Some(outcome.cpu)),
            })
        }
        Column::Native | Column::Engine(_) => Ok((ready, None)),
    }
}

fn command(column: &Column, task: &Task, artifacts: &Path) -> Command {
    match column {
        Column::Native => {
            let program = task.kernel.native.clone().unwrap_or_else(|| PathBuf::from(&task.kernel.name));
            let mut command = Command::new(program);
            command.args(&task.arguments);
            command
        }
        Column::Engine(engine) => {
            engine.command(&task.kernel.wasm, &engine.artifact(artifacts, &task.kernel.name), &task.arguments)
        }
    }
}

/// Whether a run counts. Without a reference the first good run becomes it.
fn judge(outcome: &Outcome, reference: &mut Option<Vec<u8>>) -> std::result::Result<(), Cell> {
    if let Some(failure) = outcome.failure() {
        return Err(Cell::Failed(failure));
    }
    let expected = reference.get_or_insert_with(|| outcome.stdout.clone());
    if *expected == outcome.stdout {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().chars().take(80).collect::<String>();
    Err(Cell::Wrong(format!("printed `{}` instead of `{}`", text(&outcome.stdout), text(expected))))
}

fn cost(outcome: &Outcome) -> Cost {
    Cost { cpu: outcome.cpu, wall: outcome.wall, peak_memory: outcome.peak_memory }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    fn outcome(script: &str) -> Outcome {
        process::run(Command::new("sh").args(["-c", script]), Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn the_first_good_run_is_the_reference() {
        let mut reference = None;
        assert!(matches!(judge(&outcome("exit 1"), &mut reference), Err(Cell::Failed(_))));
        assert!(reference.is_none());
        assert!(judge(&outcome("echo one"), &mut reference).is_ok());
        assert!(judge(&outcome("echo one"), &mut reference).is_ok());
        let Err(Cell::Wrong(reason)) = judge(&outcome("echo two"), &mut reference) else { panic!("accepted") };
        assert_eq!(reason, "printed `two` instead of `one`");
    }
}
