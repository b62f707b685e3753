//! Where control goes in a body, by its structure alone.
//!
//! In: operators, which are valid. Out: whether control comes to the next one, as far as that can be told without looking at values: what
//! the interpreter finds when it translates a body, on which depends where it charges fuel.

use wasm::operators::{self, Control};
use wasmparser::Operator;

/// An open structure.
struct Open {
    /// Whether control came to its beginning.
    began: bool,
    /// Whether it comes to the end by a branch.
    branched: bool,
    /// Whether it is an `if` without `else` so far.
    is_if: bool,
    is_loop: bool,
}

/// See the head of the file.
pub(super) struct Flow {
    live: bool,
    /// The function first.
    open: Vec<Open>,
}

impl Flow {
    /// At the beginning of a body.
    pub(super) fn new() -> Flow {
        let mut flow = Flow { live: true, open: Vec::new() };
        flow.begin(false, false);
        flow
    }

    /// Whether control comes here; behind the last operator, whether the function returns.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    fn begin(&mut self, is_if: bool, is_loop: bool) {
        self.open.push(Open { began: self.live, branched: false, is_if, is_loop });
    }

    fn branch(&mut self, depth: u32) {
        let index = self.open.len().checked_sub(1 + depth as usize);
        if let Some(open) = index.and_then(|i| self.open.get_mut(i)) {
            open.branched |= self.live && !open.is_loop;
        }
    }

    /// Another arm of the innermost structure follows.
    fn arm(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.branched |= self.live;
            open.is_if = false;
            self.live = open.began;
        }
    }

    fn end(&mut self) {
        if let Some(open) = self.open.pop() {
            self.live |= open.branched | (open.is_if & open.began);
        }
    }

    /// Goes past an operator.
    pub(super) fn pass(&mut self, op: &Operator<'_>) {
        let control = operators::facts(op).control;
        if matches!(control, Control::Branch | Control::Jump | Control::TryTable) {
            operators::for_each_label(op, |d| self.branch(d));
        }
        match control {
            Control::Next | Control::Branch => {}
            Control::Block | Control::Try | Control::TryTable => self.begin(false, false),
            Control::Loop => self.begin(false, true),
            Control::If => self.begin(true, false),
            Control::Else | Control::Catch => self.arm(),
            Control::End | Control::Delegate => self.end(),
            Control::Return => {
                self.branch(self.open.len() as u32 - 1);
                self.live = false;
            }
            Control::Jump | Control::Leave | Control::Throw | Control::Rethrow | Control::Unknown => self.live = false,
        }
    }
}
