//! A first look at a body, without validation: what loops change, and where locals are needed.
//!
//! In: the operators. Out: per loop the locals assigned and the classes of memory written in it; per local the stretches
//! of code in which its value may still be read. Invariant: outside its stretches a local is never read before it is
//! assigned, whatever way control takes, so merges there need no parameter for it. Bodies that are not valid give
//! nonsense, and the main pass reports them.
//!
//! A `local.get` at g that a `local.set` at q dominates needs the value from q on, and nowhere else, unless a loop begins
//! between them: then until the end of the outermost such loop. "Dominates" is judged by structure: a set dominates what
//! follows it in the same structure; what follows the structure only if no branch to the end came before it.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - A set dominates what follows its structure only if no branch to the end came before it; in an `if`, or a
//!   `try` with clauses, never.
//! - A call in the body of a `try_table` may branch to its clauses: from before the body and from behind it.
//! - A value that a loop may bring back is needed until the end of the outermost loop that began behind its
//!   definition.

use smallvec::SmallVec;
use wasm::operators;
use wasmparser::{Operator, OperatorsReader, TryTable};

/// What happens in a loop, its inner loops included.
#[derive(Default, Debug, Clone)]
pub(super) struct LoopFacts {
    /// Offset of the `loop` operator.
    pub(super) start: u32,
    /// Locals assigned: a range of `Prescan::assigned`, in which one may come up more than once.
    pub(super) assigned: (u32, u32),
    /// Classes of memory written.
    pub(super) writes: u8,
    /// Classes of memory read.
    pub(super) reads: u8,
    /// Number of branches to the loop, and the offset of the last.
    pub(super) back_edges: u32,
    pub(super) last_back_edge: u32,
    /// Globals read first, as far as there is room.
    pub(super) globals: SmallVec<[u32; 4]>,
}

impl LoopFacts {
    fn note_global(&mut self, global: u32) {
        if self.globals.len() < 4 && !self.globals.contains(&global) {
            self.globals.push(global);
        }
    }
}

/// Where the loop to enter for on-stack replacement lies.
#[derive(Default, Debug, Clone)]
pub(super) struct Path {
    /// Offsets of the structures around it, outermost first, itself last.
    pub(super) structures: Vec<u32>,
    /// Offset and index of the outermost loop among them.
    pub(super) outer: u32,
    pub(super) outer_index: u32,
}

/// What handles the exceptions of a legacy `try`.
#[derive(Default, Debug, Clone)]
pub(super) struct Handlers {
    /// Its clauses: the tag, or none for all; and the clause's offset.
    pub(super) clauses: SmallVec<[(Option<u32>, u32); 2]>,
    /// The depth, from within, to which it delegates.
    pub(super) delegate: Option<u32>,
    /// Whether a clause of it throws again what it has caught.
    pub(super) rethrown: bool,
}

#[derive(Default, Debug)]
pub(super) struct Prescan {
    /// Loops in the order in which they begin.
    pub(super) loops: Vec<LoopFacts>,
    /// Locals assigned in loops, in the order of the program; once at least in every loop around.
    pub(super) assigned: Vec<u32>,
    /// Offsets of `else` or, if there is none, `end` of the structures in the order in which they begin; and of `end`.
    pub(super) first_parts: Vec<u32>,
    pub(super) ends: Vec<u32>,
    pub(super) path: Option<Path>,
    /// Of each legacy `try`, by the number of the structure.
    handlers: Vec<(u32, Handlers)>,
    live: Liveness,
}

/// Stretches `(from, to]` per local, in order, apart from each other.
#[derive(Default, Debug)]
struct Liveness {
    first: Vec<u32>,
    stretches: Vec<(u32, u32)>,
}

impl Prescan {
    /// What handles the exceptions of a legacy `try`, given the number of the structure.
    pub(super) fn handlers(&self, structure: u32) -> Handlers {
        let found = self.handlers.binary_search_by_key(&structure, |h| h.0);
        found.map(|i| self.handlers[i].1.clone()).unwrap_or_default()
    }
    /// Whether the number is behind all locals.
    pub(super) fn is_operand(&self, local: u32) -> bool {
        local as usize + 1 >= self.live.first.len()
    }
    /// Whether a local's value may be read at or behind a position before it is assigned.
    pub(super) fn live(&self, local: u32, at: u32) -> bool {
        let range = self.live.first[local as usize] as usize..self.live.first[local as usize + 1] as usize;
        let of = &self.live.stretches[range];
        let i = of.partition_point(|&(_, to)| to < at);
        of.get(i).is_some_and(|&(from, _)| from < at)
    }
}

#[derive(Clone, Copy)]
struct Definition {
    at: u32,
    /// The last stretch recorded for it, or `u32::MAX`.
    stretch: u32,
}

struct Structure {
    start: u32,
    ordinal: u32,
    /// Index into `loops`, if it is one.
    loop_index: Option<u32>,
    /// Whether what is assigned in it is not assigned behind it: an `if`, or a legacy `try`.
    is_if: bool,
    handlers: Handlers,
    /// Offset of the first branch to its end.
    first_branch: u32,
    /// Depths (seen from outside) of the labels that exceptions thrown in it go to.
    catches: SmallVec<[u32; 2]>,
    /// Where definitions made in it begin in `Scanner::undo`.
    undo: usize,
}

/// Classes of memory that a call of a function writes and reads.
pub(super) type Called<'c> = &'c mut dyn FnMut(u32) -> (u8, u8);

/// What calls of anything may do.
pub(super) const CALL: (u8, u8) = (operators::CALL.writes, operators::CALL.reads);

struct Scanner<'c> {
    called: Called<'c>,
    out: Prescan,
    open: Vec<Structure>,
    /// Open loops: index, stretches that reach to the end.
    open_loops: Vec<(u32, Vec<u32>)>,
    /// Where each local is in `Prescan::assigned` for the last time, plus one.
    last_assigned: Vec<u32>,
    definitions: Vec<Definition>,
    /// Local, from, to.
    stretches: Vec<(u32, u32, u32)>,
    /// Definitions made in open structures: local, and what was there before.
    undo: Vec<(u32, Definition)>,
    target: Option<u32>,
}

/// Looks at a body. `target` is the offset of the loop to be entered, if any; `called` is asked about functions called in loops.
pub(super) fn scan(mut ops: OperatorsReader<'_>, locals: u32, target: Option<u32>, called: Called<'_>) -> Prescan {
    let mut s = Scanner {
        called,
        out: Prescan::default(),
        open: Vec::new(),
        open_loops: Vec::new(),
        last_assigned: vec![0; locals as usize],
        definitions: vec![Definition { at: 0, stretch: u32::MAX }; locals as usize],
        stretches: Vec::new(),
        undo: Vec::new(),
        target,
    };
    while !ops.eof() {
        let at = ops.original_position() as u32;
        // What is wrong the main pass says.
        let Ok(op) = ops.read() else { break };
        s.operator(&op, at);
    }
    s.finish(locals)
}

impl Scanner<'_> {
    fn operator(&mut self, op: &Operator<'_>, at: u32) {
        match op {
            Operator::LocalGet { local_index } => self.get(*local_index, at),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => self.set(*local_index, at),
            Operator::Block { .. } => self.begin(at, false, false),
            Operator::Loop { .. } => self.begin(at, true, false),
            Operator::If { .. } => self.begin(at, false, true),
            Operator::TryTable { try_table } => self.try_table(try_table, at),
            Operator::Try { .. } => self.begin(at, false, true),
            Operator::Catch { tag_index } => self.catch(Some(*tag_index), at),
            Operator::CatchAll => self.catch(None, at),
            Operator::Rethrow { relative_depth } => self.rethrow(*relative_depth),
            Operator::Delegate { relative_depth } => {
                if let Some(s) = self.open.last_mut() {
                    s.handlers.delegate = Some(*relative_depth);
                }
                self.end(at);
            }
            Operator::Else => self.else_(at),
            Operator::End => self.end(at),
            Operator::GlobalGet { global_index } => self.global(*global_index),
            op => {
                operators::for_each_label(op, |d| self.branch(d, at));
                self.effects(op);
            }
        }
    }

    fn get(&mut self, local: u32, at: u32) {
        let Some(d) = self.definitions.get_mut(local as usize) else { return };
        if let Some(s) = self.stretches.get_mut(d.stretch as usize) {
            s.2 = s.2.max(at);
        } else {
            d.stretch = self.stretches.len() as u32;
            self.stretches.push((local, d.at, at));
        }
        // The outermost loop that began behind the definition.
        let (from, stretch) = (d.at, d.stretch);
        let depth = self.open_loops.partition_point(|l| self.out.loops[l.0 as usize].start < from);
        if let Some(l) = self.open_loops.get_mut(depth)
            && l.1.last() != Some(&stretch)
        {
            l.1.push(stretch);
        }
    }

    fn set(&mut self, local: u32, at: u32) {
        let Some(d) = self.definitions.get_mut(local as usize) else { return };
        if !self.open.is_empty() {
            self.undo.push((local, *d));
        }
        *d = Definition { at, stretch: u32::MAX };
        let Some((innermost, _)) = self.open_loops.last() else { return };
        if self.last_assigned[local as usize] <= self.out.loops[*innermost as usize].assigned.0 {
            self.out.assigned.push(local);
            self.last_assigned[local as usize] = self.out.assigned.len() as u32;
        }
    }

    fn begin(&mut self, at: u32, is_loop: bool, is_if: bool) {
        let ordinal = self.out.ends.len() as u32;
        self.out.ends.push(at);
        self.out.first_parts.push(0);
        let mut loop_index = None;
        if is_loop {
            let index = self.out.loops.len() as u32;
            loop_index = Some(index);
            let first = self.out.assigned.len() as u32;
            self.out.loops.push(LoopFacts { start: at, assigned: (first, first), ..LoopFacts::default() });
            self.open_loops.push((index, Vec::new()));
        }
        let undo = self.undo.len();
        let catches = SmallVec::new();
        let (handlers, first_branch) = (Handlers::default(), u32::MAX);
        self.open.push(Structure { start: at, ordinal, loop_index, is_if, handlers, first_branch, catches, undo });
        if is_loop && self.target == Some(at) {
            let outer = self.open.iter().find(|s| s.loop_index.is_some());
            self.out.path = outer.map(|o| Path {
                structures: self.open.iter().map(|s| s.start).collect(),
                outer: o.start,
                outer_index: o.loop_index.unwrap_or(0),
            });
        }
    }

    /// Each call in the body may branch to the clauses' labels: as if it did from both ends, which are before and behind all.
    fn try_table(&mut self, table: &TryTable, at: u32) {
        let catches: SmallVec<[u32; 2]> = table.catches.iter().map(operators::label_of).collect();
        catches.iter().for_each(|&d| self.branch(d, at));
        self.begin(at, false, false);
        if let Some(s) = self.open.last_mut() {
            s.catches = catches;
        }
    }

    fn else_(&mut self, at: u32) {
        let Some(s) = self.open.last_mut() else { return };
        self.out.first_parts[s.ordinal as usize] = at;
        self.undo();
    }

    /// Behind a part of a structure where none of it may have been executed.
    fn undo(&mut self) {
        let Some(s) = self.open.last() else { return };
        for (local, d) in self.undo.drain(s.undo..).rev() {
            self.definitions[local as usize] = d;
        }
    }

    /// A legacy clause: control comes from anywhere in the body.
    fn catch(&mut self, tag: Option<u32>, at: u32) {
        let Some(s) = self.open.last_mut() else { return };
        s.handlers.clauses.push((tag, at));
        self.undo();
    }

    fn rethrow(&mut self, depth: u32) {
        let index = self.open.len().checked_sub(1 + depth as usize);
        if let Some(s) = index.and_then(|i| self.open.get_mut(i)) {
            s.handlers.rethrown = true;
        }
    }

    fn end(&mut self, at: u32) {
        let Some(mut s) = self.open.pop() else { return };
        s.catches.iter().for_each(|&d| self.branch(d, at));
        if !s.handlers.clauses.is_empty() || s.handlers.delegate.is_some() {
            self.out.handlers.push((s.ordinal, std::mem::take(&mut s.handlers)));
        }
        self.out.ends[s.ordinal as usize] = at;
        let first = &mut self.out.first_parts[s.ordinal as usize];
        *first = if *first == 0 { at } else { *first };
        while let Some(&(local, d)) = self.undo[s.undo..].last() {
            // Sets that every way to the end passes stay.
            if !s.is_if && self.definitions[local as usize].at <= s.first_branch {
                break;
            }
            self.definitions[local as usize] = d;
            self.undo.pop();
        }
        if self.open.is_empty() {
            self.undo.clear();
        }
        if s.loop_index.is_some() {
            self.end_loop(at);
        }
    }

    fn end_loop(&mut self, at: u32) {
        let Some((index, reaching)) = self.open_loops.pop() else { return };
        for stretch in reaching {
            let s = &mut self.stretches[stretch as usize];
            s.2 = s.2.max(at);
        }
        let inner = &mut self.out.loops[index as usize];
        inner.assigned.1 = self.out.assigned.len() as u32;
        let (writes, reads, globals) = (inner.writes, inner.reads, inner.globals.clone());
        if let Some((outer, _)) = self.open_loops.last() {
            let outer = &mut self.out.loops[*outer as usize];
            outer.writes |= writes;
            outer.reads |= reads;
            // Both may read them ahead.
            globals.into_iter().for_each(|g| outer.note_global(g));
        }
    }

    fn branch(&mut self, depth: u32, at: u32) {
        let Some(index) = self.open.len().checked_sub(1 + depth as usize) else { return };
        let s = &mut self.open[index];
        match s.loop_index {
            Some(l) => {
                let l = &mut self.out.loops[l as usize];
                l.back_edges += 1;
                l.last_back_edge = at;
            }
            None => s.first_branch = s.first_branch.min(at),
        }
    }

    fn global(&mut self, global: u32) {
        if let Some((index, _)) = self.open_loops.last() {
            self.out.loops[*index as usize].note_global(global);
        }
    }

    fn effects(&mut self, op: &Operator<'_>) {
        let (writes, reads) = match op {
            Operator::Call { function_index } if !self.open_loops.is_empty() => (self.called)(*function_index),
            op => {
                let facts = operators::facts(op);
                (facts.writes, facts.reads)
            }
        };
        if writes | reads == 0 {
            return;
        }
        if let Some((index, _)) = self.open_loops.last() {
            let l = &mut self.out.loops[*index as usize];
            l.writes |= writes;
            l.reads |= reads;
        }
    }

    fn finish(mut self, locals: u32) -> Prescan {
        // By local, then by beginning; then what overlaps becomes one.
        let mut first = vec![0u32; locals as usize + 1];
        self.stretches.iter().for_each(|s| first[s.0 as usize + 1] += 1);
        for i in 1..first.len() {
            first[i] += first[i - 1];
        }
        let mut next = first.clone();
        let mut sorted = vec![(0, 0); self.stretches.len()];
        for &(l, from, to) in &self.stretches {
            sorted[next[l as usize] as usize] = (from, to);
            next[l as usize] += 1;
        }
        self.out.handlers.sort_unstable_by_key(|h| h.0);
        let live = &mut self.out.live;
        for l in 0..locals as usize {
            let of = &mut sorted[first[l] as usize..first[l + 1] as usize];
            of.sort_unstable();
            live.first.push(live.stretches.len() as u32);
            let begin = live.stretches.len();
            for &(from, to) in of.iter() {
                match live.stretches[begin..].last_mut() {
                    Some(last) if from <= last.1 => last.1 = last.1.max(to),
                    _ => live.stretches.push((from, to)),
                }
            }
        }
        live.first.push(live.stretches.len() as u32);
        self.out
    }
}
