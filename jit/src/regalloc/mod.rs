//! Register allocation: virtual registers to machine registers and spill slots.
//!
//! In: [`Input`], instructions as lists of operands in blocks in layout order. Out: [`Output`], a place for every operand,
//! and moves between instructions. Invariant: replaying the output over the input, every use reads the value that its
//! virtual register was last given (`checker` proves it symbolically).
//!
//! The form of the input is SSA: every virtual register has one definition (a block parameter or one `Def` operand),
//! which dominates its uses. A block that ends in a branch to several successors has only successors with that one
//! predecessor; block arguments are passed by blocks with one successor only, and that ends in a jump without operands if
//! its successor has other predecessors. Every block has an instruction, and its last one defines nothing.
//!
//! Linear scan over live intervals with lifetime holes, in the line of Wimmer and Mössenböck 2005 and Wimmer and Franz
//! 2010, but of bundles of values that shall have one place, and with every choice made by its cost. A place where a value
//! leaves its register for memory is found in `spill`; `resolve` decides where it is stored.
//!
//! # Appendix: what was tried
//!
//! On random programs (`generate`), cost being moves and memory accesses weighted by ten to the loop depth:
//!
//! - First conflicts of all registers before choosing one: needless, as most pieces get the register that is cheapest by
//!   itself. They are now found one by one, cheapest first, with the same results.
//! - Letting a value that meets a call move on to a callee-saved register that will be free (`move_cost`): 1 % less cost
//!   where calls are many, nothing elsewhere, but one register less to save in small recursive functions. Kept for those.
//! - Cutting bundles where a value starts in a fixed register (`cut_at_given`): no change overall. Kept for the same reason.
//!   A spilled bundle that ignores its own start there when it counts its next uses goes to memory for nothing.
//! - Looking for the end of a run of cold blocks by walking over it: half of all time in large functions. Now a table.

mod bundles;
mod checker;
mod layout;
mod liveness;
mod parallel;
mod registers;
mod resolve;
mod scan;
mod slots;
mod spill;

#[cfg(test)]
mod generate;
#[cfg(test)]
mod tests;

pub use checker::check;

use crate::budget::{Steps, TooMuch};

/// A virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct VReg(pub u32);

/// A machine register: 0..16 are the integer registers, 16..32 the vector registers (index into [`RegInfo`]'s masks).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PReg(pub u8);

/// What a virtual register holds: decides its registers and the size of its spill slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Integers and addresses: integer registers, 8 bytes.
    Int,
    /// `f32` and `f64`: vector registers, 8 bytes.
    Float,
    /// `v128`: vector registers, 16 bytes.
    Vec,
}

/// Whether an operand is read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Read before the instruction writes anything: its register may be that of a `Def`.
    Use,
    /// Read while the instruction already writes: its register differs from that of every `Def`.
    LateUse,
    /// Written at the end of the instruction.
    Def,
    /// Written while the instruction still reads: its register differs from that of every use.
    EarlyDef,
}

/// Where an operand may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Constraint {
    /// Any register of its class.
    Reg,
    /// A register or a spill slot (an instruction with a memory form). Registers are preferred.
    Any,
    /// That register.
    Fixed(PReg),
    /// For a `Def`: the same register as the use at that index of the same instruction's operands (which has constraint
    /// `Reg`). All other uses of the instruction get other registers than this one, unless they are of the same
    /// virtual register as the tied use.
    Tied(u8),
}

/// One operand of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operand {
    /// The value.
    pub vreg: VReg,
    /// Read or written, early or late.
    pub kind: Kind,
    /// Where it may be.
    pub constraint: Constraint,
}

/// A set of machine registers, one bit per [`PReg`].
pub type RegSet = u32;

/// A block; blocks are given in the order in which their code will lie.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Its instructions, as a range of instruction indices. Ranges of consecutive blocks are consecutive.
    pub insts: std::ops::Range<u32>,
    /// Blocks that may run just before it.
    pub preds: Vec<u32>,
    /// Blocks that may run just after it.
    pub succs: Vec<u32>,
    /// Virtual registers that are defined on entry.
    pub params: Vec<VReg>,
    /// Arguments for the parameters of the only successor.
    pub args: Vec<VReg>,
    /// Nesting depth of loops; 0 outside.
    pub loop_depth: u32,
    /// Whether the block is expected to run rarely (traps, slow paths).
    pub cold: bool,
    /// The call from which the block may be left for its first successor. All that comes behind the call, moves as well, is done on
    /// that way too, but what the call defines is garbage there.
    pub throws: Option<u32>,
}

/// What is to be allocated.
#[derive(Default, Debug)]
pub struct Input {
    /// Class of each virtual register.
    pub classes: Vec<Class>,
    /// For each virtual register, a token when its value can be made anew anywhere by one cheap instruction without operands
    /// (a constant), which is better than a reload; `NO_REMAT` otherwise.
    pub remat: Vec<u32>,
    /// Blocks in layout order; block 0 is the entry and has no parameters.
    pub blocks: Vec<Block>,
    /// Operands of instruction `i` are `operands[operand_start[i]..operand_start[i + 1]]`.
    pub operand_start: Vec<u32>,
    /// Operands of all instructions, one after the other.
    pub operands: Vec<Operand>,
    /// Registers that instruction `i` destroys besides its definitions (for calls).
    pub clobbers: Vec<RegSet>,
    /// Register copies: instruction `i` is `(dst, src)` = its operands 0 (`Def`, `Reg`) and 1 (`Use`, `Any`) and does nothing else.
    /// Allocating both alike makes it disappear.
    pub is_copy: Vec<bool>,
}

/// No rematerialisation.
pub const NO_REMAT: u32 = u32::MAX;

/// The registers of a target.
#[derive(Clone, Copy, Debug)]
pub struct RegInfo {
    /// Registers that may be given to [`Class::Int`].
    pub int: RegSet,
    /// Registers that may be given to [`Class::Float`] and [`Class::Vec`].
    pub vec: RegSet,
    /// Registers that the function must restore before it returns if it uses them (their first use costs a save).
    pub callee_saved: RegSet,
    /// A vector register outside `vec` for the moves between two spill slots.
    pub scratch_vec: PReg,
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alloc {
    /// Nowhere: the operand is never read (a definition without uses still gets a register).
    None,
    /// In that register.
    Reg(PReg),
    /// A spill slot, by its number; it is 8 bytes, and a [`Class::Vec`] value takes two in a row, the first of them even.
    Stack(u32),
    /// To be made anew: the token of the virtual register's `remat` entry. Only as the source of a move.
    Remat(u32),
}

/// A move to be done between instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Before instruction `inst`. Moves at the end of a block are before its last instruction (its jump).
    pub inst: u32,
    /// Where the value is.
    pub from: Alloc,
    /// Where it shall be.
    pub to: Alloc,
    /// What is moved, which decides the width.
    pub class: Class,
    /// The virtual register it moves, for the checker and for listings.
    pub vreg: VReg,
    /// Exchange the two registers instead (cycles among integer registers).
    pub swap: bool,
}

/// The result.
#[derive(Default, Debug)]
pub struct Output {
    /// One per operand of the input.
    pub allocs: Vec<Alloc>,
    /// Sorted by `inst`; within an instruction in the order in which they are to be done.
    pub moves: Vec<Move>,
    /// Number of 8-byte spill slots.
    pub spill_slots: u32,
    /// All registers that are written anywhere.
    pub used: RegSet,
    /// Numbers for `--stats` and for tuning.
    pub stats: Stats,
}

/// What allocation did.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bundles of virtual registers that were to be placed.
    pub intervals: u32,
    /// Cuts of bundles in pieces.
    pub splits: u32,
    /// Moves from a register to a spill slot.
    pub spills: u32,
    /// Moves from a spill slot to a register.
    pub reloads: u32,
    /// Moves between two registers or between two spill slots.
    pub moves: u32,
    /// Moves that make a constant anew.
    pub remats: u32,
    /// Steps of walks over blocks in which values are live.
    pub steps: u64,
}

/// Gives every operand of `input` a place.
///
/// # Panics
/// If an instruction needs more registers at a time than there are, or the input is not of the form described at the
/// top of this module.
pub fn allocate(input: &Input, regs: &RegInfo) -> Output {
    allocate_within(input, regs, usize::MAX).unwrap_or_default()
}

/// The same, unless its walks would take more than so many steps.
///
/// # Errors
/// When they would.
///
/// # Panics
/// As [`allocate`].
pub fn allocate_within(input: &Input, regs: &RegInfo, walks: usize) -> Result<Output, TooMuch> {
    let mut steps = Steps::new(walks);
    let layout = layout::Layout::new(input);
    let mut lives = liveness::find(input, &layout, &mut steps)?;
    let bundles = bundles::coalesce(input, &layout, &mut lives);
    let placed = scan::place(input, regs, &layout, &lives, bundles);
    let slots = slots::assign(&placed, &lives);
    resolve::finish(input, regs, &layout, &lives, &placed, slots, &mut steps)
}
