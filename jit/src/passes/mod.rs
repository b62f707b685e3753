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
mod unroll;

use crate::Settings;
use crate::ir::Func;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Which passes run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Switches {
    /// Replaces parameters that are always the same, and simplifies what used them.
    pub fold: bool,
    /// Makes small arms without effects selections.
    pub if_convert: bool,
    /// Removes what is not needed.
    pub dce: bool,
    /// Joins blocks and skips empty ones.
    pub merge_blocks: bool,
    /// Leaves out looks at the interrupt flag that others make unnecessary.
    pub polls: bool,
    /// Lets small loops be followed by copies of themselves.
    pub unroll: bool,
    /// Finds what is executed rarely.
    pub cold: bool,
    /// Gives loops with their test at the top one at the bottom (done by the front end).
    pub rotate: bool,
    /// Builds small functions into the place of their calls (done by the front end).
    pub inline: bool,
    /// Takes null for an element of a table whose index is out of bounds, for processors that run ahead of the check (done by the
    /// front end).
    pub mask_tables: bool,
    /// Makes indices of memories that are checked zero in that case.
    pub mask_memories: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches {
            fold: true,
            if_convert: true,
            dce: true,
            merge_blocks: true,
            polls: true,
            unroll: true,
            cold: true,
            rotate: true,
            inline: true,
            mask_tables: true,
            mask_memories: false,
        }
    }
}

type Pass = fn(&mut Func);

/// The passes in order, with their switches.
fn list(on: &Switches) -> [(&'static str, bool, Pass); 9] {
    [
        ("fold", on.fold, fold::run),
        ("dce", on.dce, dce::run),
        ("merge_blocks", on.merge_blocks, merge_blocks::run),
        ("if_convert", on.if_convert, if_convert::run),
        ("merge_blocks", on.merge_blocks && on.if_convert, merge_blocks::run),
        ("dce", on.dce && on.if_convert, dce::run),
        ("polls", on.polls, polls::run),
        ("unroll", on.unroll, unroll::run),
        ("cold", on.cold, cold::run),
    ]
}

/// Runs the passes; `phase` hears what each has cost.
pub fn run(f: &mut Func, settings: &Settings, phase: &mut dyn FnMut(&'static str, Duration)) {
    let mut last = Instant::now();
    verify(f, "frontend");
    for (name, on, pass) in list(&settings.passes) {
        if on {
            pass(f);
            verify(f, name);
            let now = Instant::now();
            phase(name, now - last);
            last = now;
        }
    }
}

/// Runs one pass by name, for tests; false when there is none of that name.
pub fn run_one(f: &mut Func, name: &str) -> bool {
    let passes = list(&Switches::default());
    let found = passes.iter().find(|(n, ..)| *n == name);
    if let Some((_, _, pass)) = found {
        pass(f);
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
