//! The machine-independent passes.
//!
//! In: a function as the front end made it, whose pure instructions float and are simplified and shared already. Out: the
//! same function with fewer instructions, parameters and branches. Each pass is a file with a header of its own; in debug
//! builds the function is verified after each.

mod cold;
mod dce;
mod fold;
mod if_convert;
mod merge_blocks;
mod order;
mod polls;
mod rewrite;
pub mod simplify;
mod sparse;
mod table;
mod unroll;

use crate::Settings;
use crate::ir::Func;
use std::time::{Duration, Instant};

pub use table::{Pass, Row, Switches, TABLE, UnknownPass};

/// Runs the passes; `after` hears of each what it has made and what it has cost.
pub fn run(f: &mut Func, settings: &Settings, after: &mut dyn FnMut(&'static Row, &Func, Duration)) {
    let mut last = Instant::now();
    verify(f, "frontend");
    for (row, pass) in table::order(settings.passes) {
        pass(f, &settings.tunables);
        verify(f, row.name);
        let now = Instant::now();
        after(row, f, now - last);
        last = now;
    }
}

/// Runs one pass by name, for tests; false when there is none of that name.
pub fn run_one(f: &mut Func, name: &str) -> bool {
    let found = table::order(Switches::default()).find(|(row, _)| row.name == name);
    if let Some((_, pass)) = found {
        pass(f, &Default::default());
    }
    found.is_some()
}

fn verify(f: &Func, after: &str) {
    if cfg!(debug_assertions)
        && let Err(e) = f.verify()
    {
        panic!("after {after}: {e}");
    }
}
