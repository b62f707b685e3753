//! Loop rotation: the exit test moves from the top of the loop to the bottom.
//!
//! `loop A; br_if out; B; br loop` becomes `A; br_if out; loop B; A; br_if out; br loop`, and
//! `loop A; if B; br loop; end` likewise: one branch per iteration instead of two. The operators of A are translated
//! again where the loop is continued, which is cheap to do and needs nothing to be copied, renamed or merged.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` in which it does not hold:
//! - The loop has no parameters, and A leaves nothing on the operand stack but the condition.
//! - A has at most [`rotate_header`](crate::tunables::Tunables) operators, none of which writes anything but locals, calls or branches.
//! - The loop is continued in exactly one place; clauses of a `try_table` that lead to the loop count twice.
//! - `br_if out`: its label is not a loop's, takes no operands, and is that of the function, a `block` or an `if`.
//! - `if`: it has neither parameters nor results, *and no `else`*: the repeated test leaves for the end of the `if`, which is where a
//!   failed condition leads only if there is no other arm. The loop is continued in its arm.
//! - On-stack replacement does not enter at the loop or in it: the code in front of the entry is never translated.

use super::builder::Builder;
use super::control::Kind;
use super::tables::{self, Numeric};
use crate::ir::Value;
use crate::passes::Pass;
use wasmparser::{BinaryReader, BlockType, Operator, OperatorsReader};

/// How to repeat a loop's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// Range of `Builder::replays`.
    first: u32,
    count: u32,
    /// Offset of the test.
    test: u32,
    /// Index of the frame that a true condition leaves for; none: a false one leaves for the end of the `if` that the test begins.
    exit: Option<u32>,
    loop_index: u32,
}

/// For operators that may be executed once more in place of another time: by how much the operand stack grows.
fn growth(op: &Operator<'_>) -> Option<i32> {
    Some(match op {
        Operator::LocalGet { .. } | Operator::GlobalGet { .. } => 1,
        Operator::LocalSet { .. } => -1,
        Operator::LocalTee { .. } => 0,
        op => match tables::numeric(op) {
            Some(Numeric::Unary(..) | Numeric::Truncate(..) | Numeric::Eqz) => 0,
            Some(Numeric::Binary(..) | Numeric::Compare(_) | Numeric::FloatCompare(_) | Numeric::Divide(..)) => -1,
            None if tables::load(op).is_some() => 0,
            None if super::operators::is_simple(op) => 1,
            None => return None,
        },
    })
}

impl Builder<'_> {
    /// Whether the loop that begins here can be rotated.
    pub(super) fn find_rotation(&mut self, index: u32, params: u32) -> Option<Rotation> {
        let on_path = self.osr.as_ref().is_some_and(|o| o.structures.contains(&self.pos));
        let facts = &self.scan.loops[index as usize];
        if params != 0 || facts.back_edges != 1 || on_path || !self.settings.passes.has(Pass::Rotate) {
            return None;
        }
        let last_back_edge = facts.last_back_edge;
        let bytes = self.env.bytes.get(self.next as usize..self.body_end as usize)?;
        let reader = BinaryReader::new_features(bytes, u64::from(self.next), self.module.features());
        let mut ops = OperatorsReader::new(reader);
        let first = self.replays.len();
        let mut height = 0;
        for _ in 0..self.settings.tunables.rotate_header {
            let at = ops.original_position() as u32;
            let Ok(op) = ops.read() else { break };
            let exit = match op {
                // An operand left below the condition would have to be carried.
                Operator::BrIf { .. } | Operator::If { .. } if height != 1 => None,
                Operator::BrIf { relative_depth } => self.exit_by_branch(relative_depth),
                Operator::If { blockty: BlockType::Empty } => {
                    // There is no `else`, and the loop is continued in the arm that the condition enters.
                    let structure = self.structure_count as usize;
                    let first_part = self.scan.first_parts.get(structure).copied();
                    let only_arm = first_part.filter(|end| self.scan.ends.get(structure) == Some(end));
                    only_arm.is_some_and(|end| last_back_edge < end).then_some(None)
                }
                op => match growth(&op) {
                    Some(n) => {
                        height += n;
                        self.replays.push((op, at));
                        continue;
                    }
                    None => None,
                },
            };
            let Some(exit) = exit else { break };
            let count = (self.replays.len() - first) as u32;
            return Some(Rotation { first: first as u32, count, test: at, exit, loop_index: index });
        }
        self.replays.truncate(first);
        None
    }

    /// The frame that a branch at that depth within the loop to be opened leaves for, if it will do as the exit.
    fn exit_by_branch(&self, depth: u32) -> Option<Option<u32>> {
        let index = self.checked_frame_index(depth.checked_sub(1)?)?;
        let frame = self.control.get(index)?;
        let ends = matches!(frame.kind, Kind::Function | Kind::Block | Kind::If(_));
        (ends && frame.results == 0).then_some(Some(index as u32))
    }

    /// Behind the test at the top of a loop that is being rotated: makes its header.
    pub(super) fn finish_rotation(&mut self, index: usize) {
        let frame = &self.control[index];
        let (Kind::Loop(None), Some(r)) = (frame.kind, frame.rotation) else { return };
        if r.test != self.pos {
            return;
        }
        let carried = self.carried_locals(r.loop_index, self.pos);
        let writes = self.scan.loops[r.loop_index as usize].writes;
        let header = self.make_header(0, &carried, writes);
        let frame = &mut self.control[index];
        frame.kind = Kind::Loop(Some(header));
        frame.carried = carried;
    }

    /// Locals that repeating the loop's header assigns, and their present values.
    pub(super) fn assigned_by_repeating(&self, index: usize) -> Vec<(u32, Value)> {
        let Some(r) = self.control[index].rotation else { return Vec::new() };
        let ops = &self.replays[r.first as usize..][..r.count as usize];
        let sets = ops.iter().filter_map(|(op, _)| match op {
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => Some(*local_index),
            _ => None,
        });
        sets.map(|l| (l, self.locals[l as usize])).collect()
    }

    /// Repeats a loop's header where the loop is continued; false when control never goes on from there.
    pub(super) fn repeat_header(&mut self, index: usize) -> bool {
        let Some(r) = self.control[index].rotation else { return true };
        let pos = self.pos;
        // Charged where the header is charged: at the loop.
        self.go_to(self.scan.loops[r.loop_index as usize].start);
        self.new_segment();
        self.poll();
        for i in r.first..r.first + r.count {
            let (op, at) = self.replays[i as usize].clone();
            self.go_to(at);
            self.operand = None;
            self.charge();
            self.plain_operator(&op);
        }
        self.go_to(r.test);
        self.charge();
        let condition = self.pop();
        let leaves_when = r.exit.is_some();
        let exit = r.exit.map_or(index + 1, |x| x as usize);
        let goes_on = match self.fork(condition) {
            None => {
                let leaves = (self.f.as_iconst(condition) != Some(0)) == leaves_when;
                if leaves {
                    self.leave(exit);
                }
                !leaves
            }
            Some((yes, no)) => {
                let (out, on) = if leaves_when { (yes, no) } else { (no, yes) };
                self.on_edge(out, |b| b.leave(exit));
                self.enter(on);
                true
            }
        };
        self.go_to(pos);
        goes_on
    }
}
