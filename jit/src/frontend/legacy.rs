//! Legacy exceptions: `try`, `catch`, `catch_all`, `delegate`, `rethrow`.
//!
//! A `try` is a block around one hidden block per clause, the last clause's outermost. Where something is thrown in its body, the clauses
//! are branches to the ends of those, as the clauses of a `try_table` are branches to labels; and what follows such an end is the
//! clause's code. The scan has found the clauses, which come behind the body. Invariant: in a clause the exception is the
//! operand at the height of its `try`, as in frames of the interpreter.

use super::builder::Builder;
use super::calls::func_of;
use super::control::Kind;
use super::exceptions::{Clause, Reference};
use super::prescan::Handlers;
use wasmparser::BlockType;

impl Builder<'_> {
    /// Begins a `try`; it has been counted.
    pub(super) fn try_(&mut self, ty: BlockType) {
        self.pin_operands(ty, 0);
        let arity = self.block_arity(ty);
        self.open_try(self.stack.len() - arity.0 as usize, arity);
    }

    /// As `seek_structure`.
    pub(super) fn seek_try(&mut self, ty: BlockType, height: u32) {
        if self.osr.as_ref().is_none_or(|o| o.structures.binary_search(&self.pos).is_err()) {
            return self.open_dead();
        }
        let arity = self.block_arity(ty);
        self.open_try(self.seek_height(height, arity.0), arity);
    }

    fn open_try(&mut self, height: usize, arity: (u32, u32)) {
        let Handlers { clauses, delegate, rethrown, .. } = self.scan.handlers(self.structure_count - 1);
        self.open(if clauses.is_empty() { Kind::Block } else { Kind::Try }, height, arity);
        let index = self.control.len() - 1;
        if let Some(depth) = delegate {
            // To what is active outside of the structure around which the label is; or, in code that is not valid, anywhere.
            let below = self.checked_frame_index(depth).unwrap_or(0);
            let rest = self.tries.partition_point(|&t| t < below);
            let next = rest.checked_sub(1).and_then(|n| self.control[self.tries[n]].delegate);
            self.control[index].delegate = Some(next.unwrap_or(rest));
            self.tries.push(index);
        }
        let last = index + clauses.len();
        for (n, &(tag, at)) in clauses.iter().enumerate().rev() {
            let values = tag.map_or(0, |t| self.tag_arity(t));
            self.hidden.push(self.control.len());
            self.open(Kind::Block, height, (0, values + 1));
            self.frame().end = at;
            let reference = if rethrown { Reference::Kept } else { Reference::Unused };
            // The validator has not seen the clause yet.
            if tag.is_none_or(|t| (t as usize) < self.module.tags.len()) {
                self.control[index].clauses.push(Clause { tag, reference, target: last - n });
            }
        }
        self.control[index].clauses.reverse();
        if !clauses.is_empty() {
            self.tries.push(index);
        }
    }

    /// Number of values of an exception; none if there is no such tag.
    fn tag_arity(&self, tag: u32) -> u32 {
        let ty = self.module.tags.get(tag as usize).map(|&id| self.call_type(id));
        ty.as_ref().and_then(|ty| func_of(ty)).map_or(0, |f| f.params.len() as u32)
    }

    /// Ends the body, or a clause, and goes on in the next clause.
    pub(super) fn catch(&mut self) {
        let last = self.control.len() - 1;
        if self.control[last].kind == Kind::Dead {
            return;
        }
        let index = self.frame_index(0);
        if self.reachable {
            self.note_branch(index);
            self.set_unreachable();
        }
        if self.control[index].kind == Kind::Try {
            self.tries.pop_if(|&mut t| t == index);
            self.control[index].kind = Kind::Catch;
            self.control[index].clauses.clear();
        }
        self.merge(last);
        self.close();
    }

    /// Ends a `try` without clauses.
    pub(super) fn delegate(&mut self) {
        self.end();
    }

    /// Throws again what the clause at that depth has caught.
    pub(super) fn rethrow(&mut self, depth: u32) {
        let exception = self.stack[self.control[self.frame_index(depth)].height];
        self.throw_again(exception);
    }
}
