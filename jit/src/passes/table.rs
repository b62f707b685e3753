//! The table of passes: everything of the compiler that can be switched off without changing what code does.
//!
//! In: a row for each, below. Out: the switches of a compilation as a set of bits, the text that chooses them, the key of code that was
//! made with them. Invariant: whatever is switched off, code computes the same; levels of optimisation, tests and fuzzers choose
//! from this table alone, so a row is all that a new pass needs. What keeps guests apart (masks) is no pass.

use super::{cold, dce, fold, if_convert, merge_blocks, polls, unroll};
use crate::ir::Func;
use crate::tunables::Tunables;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Changes a function as a whole.
type Run = fn(&mut Func, &Tunables);

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which one it is.
    pub pass: Pass,
    /// How it is called on the command line.
    pub name: &'static str,
    /// The lowest level of optimisation at which it runs.
    pub level: u8,
    /// What it does.
    pub text: &'static str,
    /// The pass itself, unless it is part of another phase, which asks for its switch.
    pub(super) run: Option<Run>,
}

macro_rules! table {
    ($($pass:ident $name:literal $level:literal $text:literal $run:expr;)*) => {
        /// Something of the compiler that can be switched off.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Pass {
            $(#[doc = $text] $pass,)*
        }
        /// The table.
        pub const TABLE: &[Row] = &[$(Row { pass: Pass::$pass, name: $name, level: $level, text: $text, run: $run },)*];
    };
}

table! {
    Inline      "inline"       2 "Small functions instead of calls of them (front end)." None;
    Rotate      "rotate"       2 "The exit test of loops from their top to their bottom (front end)." None;
    Loads       "loads"        0 "Values that memory, globals, tables and objects are known to hold (front end)." None;
    Checks      "checks"       0 "Checks that an earlier one has made unnecessary (front end)." None;
    Hints       "hints"        0 "What the module says of how likely branches are (front end)." None;
    Fold        "fold"         1 "Parameters that are always the same, and what becomes simpler without them." Some(|f, _| fold::run(f));
    Dce         "dce"          0 "Values that nobody needs." Some(|f, _| dce::run(f));
    MergeBlocks "merge_blocks" 1 "Joins blocks and skips empty ones." Some(|f, _| merge_blocks::run(f));
    IfConvert   "if_convert"   2 "Selects instead of branches over nearly empty blocks." Some(if_convert::run);
    Polls       "polls"        1 "Interrupt polls of short-trip loops and leaf functions." Some(polls::run);
    Unroll      "unroll"       2 "Small loops followed by copies of themselves." Some(unroll::run);
    Cold        "cold"         1 "Finds what runs rarely." Some(|f, _| cold::run(f));
    Hoist       "hoist"        0 "Values that do not change in a loop are computed before it (schedule)." None;
    Latch       "latch"        0 "Counters step before the branch back (schedule)." None;
    Arms        "arms"         0 "What some arms of a switch need is computed in each of them (schedule)." None;
    Operands    "operands"     0 "Loads as operands of other instructions (selection)." None;
    Carry       "carry"        0 "Adds a comparison's result through the carry flag (selection)." None;
    TailDup     "tail_dup"     0 "Copies of short blocks that end in a switch (emission)." None;
    Shrink      "shrink"       0 "Short forms of branches (emission)." None;
    Osr         "osr"          0 "Loops of the interpreter go on in compiled code (tiers)." None;
}

/// The passes that run one after the other on the whole function.
const ORDER: [(Pass, Option<Pass>); 9] = [
    (Pass::Fold, None),
    (Pass::Dce, None),
    (Pass::MergeBlocks, None),
    (Pass::IfConvert, None),
    (Pass::MergeBlocks, Some(Pass::IfConvert)),
    (Pass::Dce, Some(Pass::IfConvert)),
    (Pass::Polls, None),
    (Pass::Unroll, None),
    (Pass::Cold, None),
];

/// The passes in order, those that clean up behind another one again. Each is switched on.
pub(super) fn order(on: Switches) -> impl Iterator<Item = (&'static Row, Run)> {
    let wanted = move |&(pass, behind): &(Pass, Option<Pass>)| on.has(pass) && behind.is_none_or(|b| on.has(b));
    ORDER.into_iter().filter(wanted).filter_map(|(pass, _)| {
        let row = pass.row();
        row.run.map(|run| (row, run))
    })
}

impl Pass {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The pass of a name.
    ///
    /// # Errors
    /// When there is none; the message has the table.
    pub fn find(name: &str) -> Result<Pass, UnknownPass> {
        let row = TABLE.iter().find(|r| r.name == name);
        row.map(|r| r.pass).ok_or_else(|| UnknownPass(name.into()))
    }
}

/// Which passes run. By default, all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Switches(u32);

impl Default for Switches {
    fn default() -> Self {
        Switches((1 << TABLE.len()) - 1)
    }
}

impl Switches {
    /// None.
    pub const NONE: Switches = Switches(0);

    /// Those of a level of optimisation.
    pub fn level(level: u8) -> Switches {
        TABLE.iter().filter(|r| r.level <= level).fold(Switches::NONE, |s, r| s.with(r.pass))
    }
    /// Those that a number chooses, whatever number it is.
    pub fn of_bits(bits: u32) -> Switches {
        Switches(bits & Switches::default().0)
    }
    /// Whether a pass runs.
    pub fn has(self, pass: Pass) -> bool {
        self.0 >> pass as u32 & 1 == 1
    }
    /// With a pass.
    #[must_use]
    pub fn with(self, pass: Pass) -> Switches {
        Switches(self.0 | 1 << pass as u32)
    }
    /// Without a pass.
    #[must_use]
    pub fn without(self, pass: Pass) -> Switches {
        Switches(self.0 & !(1 << pass as u32))
    }

    /// Changes them as a text says: names, each behind `-` or `+`, separated by commas; or `all`, `none`, first.
    ///
    /// # Errors
    /// When a name is none of the table's; the message has the table.
    pub fn change(self, text: &str) -> Result<Switches, UnknownPass> {
        let mut on = self;
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            on = match (part, part.strip_prefix('-')) {
                ("all", _) => Switches::default(),
                ("none", _) => Switches::NONE,
                (_, Some(name)) => on.without(Pass::find(name)?),
                _ => on.with(Pass::find(part.strip_prefix('+').unwrap_or(part))?),
            };
        }
        Ok(on)
    }
}

/// A name that no pass has.
#[derive(Clone, Debug)]
pub struct UnknownPass(String);

impl fmt::Display for UnknownPass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no pass `{}`; there are, with the level of optimisation from which on each runs:", self.0)?;
        TABLE.iter().try_for_each(|r| write!(out, "\n  {:<12} {} {}", r.name, r.level, r.text))
    }
}

impl std::error::Error for UnknownPass {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_has_its_own_row_and_bit() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.pass as usize, i);
            assert_eq!(Pass::find(row.name).ok(), Some(row.pass));
            let only = Switches::NONE.with(row.pass);
            assert!(TABLE.iter().all(|r| only.has(r.pass) == (r.pass == row.pass)), "{}", row.name);
            assert!(!Switches::default().without(row.pass).has(row.pass));
        }
    }

    #[test]
    fn texts_change_switches() {
        let change = |text: &str| Switches::default().change(text).expect("names of the table");
        assert_eq!(change(""), Switches::default());
        assert_eq!(change("-inline,-unroll"), Switches::default().without(Pass::Inline).without(Pass::Unroll));
        assert_eq!(change("none, +fold,dce"), Switches::NONE.with(Pass::Fold).with(Pass::Dce));
        assert_eq!(change("none,all"), Switches::default());
        let wrong = Switches::default().change("-inlin").expect_err("no such pass").to_string();
        assert!(wrong.contains("`inlin`") && wrong.contains("unroll"), "{wrong}");
    }

    #[test]
    fn levels_are_as_they_were() {
        let names = |level| TABLE.iter().filter(|r| r.level > level).map(|r| r.name).collect::<Vec<_>>();
        assert_eq!(Switches::level(2), Switches::default());
        assert_eq!(names(1), ["inline", "rotate", "if_convert", "unroll"]);
        assert_eq!(names(0), ["inline", "rotate", "fold", "merge_blocks", "if_convert", "polls", "unroll", "cold"]);
    }
}
