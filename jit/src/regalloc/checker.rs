//! Proves that an allocation is right, by running it with symbols for values.
//!
//! In: input and output of the allocator. Out: the first fault. Invariant of the analysis: the state says for each register and
//! spill slot which virtual registers have their current value there on every path; so where paths meet, it is what all agree on.
//!
//! A block that a call may leave with an exception is run once more for that way, on which the call defines nothing. At an edge with
//! arguments a parameter's value is that of its argument, so a place may hold several virtual registers.
//! A definition makes all older copies of its virtual register stale. What is not checked: that the moves are good ones.

use smallvec::SmallVec;

use super::{Alloc, Class, Constraint, Input, Kind, Move, NO_REMAT, Operand, Output, RegInfo, RegSet, VReg};

/// The virtual registers whose values a place holds, sorted.
type Held = SmallVec<[u32; 2]>;

/// What every place holds: 32 registers, then the slots.
type State = Vec<Held>;

/// Checks that every operand is where its constraints want it, and that every use reads the value of its virtual register.
///
/// # Errors
/// A description of the first fault found.
pub fn check(input: &Input, regs: &RegInfo, output: &Output) -> Result<(), String> {
    let checker = Checker { input, regs, output };
    checker.check_shape()?;
    let mut entries: Vec<Option<State>> = vec![None; input.blocks.len()];
    if input.blocks.is_empty() {
        return Ok(());
    }
    entries[0] = Some(vec![Held::new(); 32 + output.spill_slots as usize]);
    let mut todo = vec![0];
    // Errors are looked for when the states are settled: before that they say too much.
    while let Some(block) = todo.pop() {
        let entry = entries[block as usize].clone().unwrap_or_default();
        for (way, &succ) in input.blocks[block as usize].succs.iter().enumerate() {
            let mut state = entry.clone();
            checker.run_block(block, way, &mut state, false)?;
            let arriving = checker.pass_args(block, succ, &state);
            if meet(&mut entries[succ as usize], arriving) {
                todo.push(succ);
            }
        }
    }
    for (block, entry) in (0..).zip(entries) {
        let Some(entry) = entry else { continue };
        for way in 0..input.blocks[block as usize].succs.len().clamp(1, 2) {
            checker.run_block(block, way, &mut entry.clone(), true)?;
        }
    }
    Ok(())
}

/// Keeps what both states agree on; says whether that is news.
fn meet(entry: &mut Option<State>, arriving: State) -> bool {
    let Some(state) = entry else {
        *entry = Some(arriving);
        return true;
    };
    let mut changed = false;
    for (held, other) in state.iter_mut().zip(&arriving) {
        let before = held.len();
        held.retain(|v| other.contains(v));
        changed |= held.len() != before;
    }
    changed
}

struct Checker<'a> {
    input: &'a Input,
    regs: &'a RegInfo,
    output: &'a Output,
}

impl Checker<'_> {
    /// Checks what does not depend on values.
    fn check_shape(&self) -> Result<(), String> {
        for block in self.input.blocks.iter().filter(|b| b.throws.is_some()) {
            if !block.throws.is_some_and(|t| block.insts.contains(&(t + 1))) || block.succs.len() != 2 {
                return Err("a call that throws must have something behind it and two ways to go on".into());
            }
        }
        if self.output.allocs.len() != self.input.operands.len() {
            return Err(format!("{} places for {} operands", self.output.allocs.len(), self.input.operands.len()));
        }
        if !self.output.moves.is_sorted_by_key(|m| m.inst) {
            return Err("moves are not in order".into());
        }
        for it in &self.output.moves {
            self.check_move(it).map_err(|what| format!("move {it:?}: {what}"))?;
        }
        for inst in 0..self.input.clobbers.len() as u32 {
            self.check_constraints(inst).map_err(|what| format!("instruction {inst}: {what}"))?;
        }
        Ok(())
    }

    fn check_move(&self, it: &Move) -> Result<(), String> {
        let kind = |alloc| matches!(alloc, Alloc::Reg(reg) if self.class_regs(it.class) >> reg.0 & 1 != 0);
        if it.class != self.input.classes[it.vreg.0 as usize] {
            return Err("wrong class".into());
        }
        if it.swap && !(it.class == Class::Int && kind(it.from) && kind(it.to)) {
            return Err("exchange of other things than integer registers".into());
        }
        let scratch = |alloc| it.class != Class::Int && alloc == Alloc::Reg(self.regs.scratch_vec);
        let fits = |alloc| match alloc {
            Alloc::Reg(_) => kind(alloc) || scratch(alloc),
            Alloc::Stack(slot) => self.slot_fits(slot, it.class),
            Alloc::None | Alloc::Remat(_) => false,
        };
        let remade = matches!(it.from, Alloc::Remat(token) if token != NO_REMAT);
        if !(fits(it.from) || remade) || !fits(it.to) {
            return Err("no such place for this class".into());
        }
        match it.to {
            Alloc::Reg(reg) if self.output.used >> reg.0 & 1 == 0 => Err("register not noted as used".into()),
            _ => Ok(()),
        }
    }

    fn class_regs(&self, class: Class) -> RegSet {
        if class == Class::Int { self.regs.int } else { self.regs.vec }
    }

    fn slot_fits(&self, slot: u32, class: Class) -> bool {
        let size = if class == Class::Vec { 2 } else { 1 };
        slot.is_multiple_of(size) && slot + size <= self.output.spill_slots
    }

    fn operands(&self, inst: u32) -> impl Iterator<Item = (&Operand, Alloc)> {
        let range =
            self.input.operand_start[inst as usize] as usize..self.input.operand_start[inst as usize + 1] as usize;
        self.input.operands[range.clone()].iter().zip(self.output.allocs[range].iter().copied())
    }

    /// Checks the places of an instruction's operands against their constraints and each other.
    fn check_constraints(&self, inst: u32) -> Result<(), String> {
        let clobbers = self.input.clobbers[inst as usize];
        for (it, alloc) in self.operands(inst) {
            let fault = |what: &str| Err(format!("{it:?} in {alloc:?}: {what}"));
            let class = self.input.classes[it.vreg.0 as usize];
            match (it.constraint, alloc) {
                (Constraint::Fixed(want), Alloc::Reg(reg)) if want == reg => {}
                (Constraint::Fixed(_), _) => return fault("not in its fixed register"),
                (_, Alloc::Reg(reg)) if self.class_regs(class) >> reg.0 & 1 != 0 => {}
                (Constraint::Any, Alloc::Stack(slot)) if self.slot_fits(slot, class) => {}
                _ => return fault("no such place for this operand"),
            }
            if let Constraint::Tied(to) = it.constraint {
                let (tied, place) = self.operands(inst).nth(usize::from(to)).ok_or("tied to nothing")?;
                if place != alloc {
                    return fault("not where its tied use is");
                }
                for (other, place) in self.operands(inst) {
                    if is_use(other) && other.vreg != tied.vreg && place == alloc {
                        return fault("tied to a register that another use is in");
                    }
                }
            }
            let late = it.kind != Kind::Use;
            if let (Alloc::Reg(reg), true) = (alloc, late)
                && clobbers >> reg.0 & 1 != 0
            {
                return fault("in a register that is destroyed");
            }
            if let (Alloc::Reg(reg), false) = (alloc, is_use(it))
                && self.output.used >> reg.0 & 1 == 0
            {
                return fault("register not noted as used");
            }
            let slots = if class == Class::Vec { 2 } else { 1 };
            for (other, place) in self.operands(inst).filter(|(other, _)| clash(it, other)) {
                let near = matches!((alloc, place), (Alloc::Stack(a), Alloc::Stack(b)) if (a..a + slots).contains(&b));
                if place == alloc || near {
                    return fault(&format!("with {other:?} there"));
                }
            }
        }
        Ok(())
    }

    /// Runs the moves and instructions of a block, on the way to one of its successors.
    fn run_block(&self, block: u32, way: usize, state: &mut State, strict: bool) -> Result<(), String> {
        let insts = self.input.blocks[block as usize].insts.clone();
        let thrown = self.input.blocks[block as usize].throws.filter(|_| way == 0);
        let first = self.output.moves.partition_point(|m| m.inst < insts.start);
        let mut moves = self.output.moves[first..].iter().peekable();
        for inst in insts {
            while let Some(it) = moves.next_if(|m| m.inst == inst) {
                self.run_move(it, state);
            }
            self.run_inst(inst, state, strict).map_err(|what| format!("block {block}, instruction {inst}: {what}"))?;
            if thrown == Some(inst) {
                self.operands(inst).filter(|(it, _)| !is_use(it)).for_each(|(it, _)| forget(it.vreg, state));
            }
        }
        Ok(())
    }

    fn run_move(&self, it: &Move, state: &mut State) {
        if let (true, Some(from), Some(to)) = (it.swap, place(it.from), place(it.to)) {
            return state.swap(from, to);
        }
        let held = match it.from {
            Alloc::Remat(token) if self.input.remat[it.vreg.0 as usize] == token => Held::from_slice(&[it.vreg.0]),
            from => place(from).map(|from| state[from].clone()).unwrap_or_default(),
        };
        if !matches!(it.from, Alloc::Reg(_)) && matches!(it.to, Alloc::Stack(_)) {
            // Such moves may go through the scratch register.
            state[usize::from(self.regs.scratch_vec.0)].clear();
        }
        self.write(it.to, it.class, held, state);
    }

    /// Puts values in a place; what overlaps it loses its own.
    fn write(&self, to: Alloc, class: Class, held: Held, state: &mut State) {
        if let Some(to) = place(to) {
            state[to] = held;
        }
        if let Alloc::Stack(slot) = to {
            let at = 32 + slot as usize;
            if class == Class::Vec {
                state[at + 1].clear();
            } else if slot % 2 == 1 {
                state[at - 1].retain(|v| self.input.classes[*v as usize] != Class::Vec);
            }
        }
    }

    fn run_inst(&self, inst: u32, state: &mut State, strict: bool) -> Result<(), String> {
        for (it, alloc) in self.operands(inst).filter(|(it, _)| strict && is_use(it)) {
            let holds = place(alloc).is_some_and(|at| state[at].contains(&it.vreg.0));
            if !holds {
                let what = place(alloc).map(|at| state[at].clone());
                return Err(format!("{it:?} is not in {alloc:?}, which holds {what:?}"));
            }
        }
        let mut clobbers = self.input.clobbers[inst as usize];
        while clobbers != 0 {
            state[clobbers.trailing_zeros() as usize].clear();
            clobbers &= clobbers - 1;
        }
        for (it, _) in self.operands(inst).filter(|(it, _)| !is_use(it)) {
            forget(it.vreg, state);
        }
        for (it, alloc) in self.operands(inst).filter(|(it, _)| !is_use(it)) {
            self.write(alloc, self.input.classes[it.vreg.0 as usize], Held::from_slice(&[it.vreg.0]), state);
        }
        Ok(())
    }

    /// The state as it is behind an edge: parameters hold what arguments held.
    fn pass_args(&self, from: u32, to: u32, state: &State) -> State {
        let (args, params) = (&self.input.blocks[from as usize].args, &self.input.blocks[to as usize].params);
        let mut state = state.clone();
        if params.is_empty() {
            return state;
        }
        for held in &mut state {
            let old = held.clone();
            held.retain(|v| !params.contains(&VReg(*v)));
            held.extend(params.iter().zip(args).filter(|(_, arg)| old.contains(&arg.0)).map(|(param, _)| param.0));
        }
        state
    }
}

/// Removes a virtual register from all places.
fn forget(vreg: VReg, state: &mut State) {
    for held in state {
        if held.contains(&vreg.0) {
            held.retain(|v| *v != vreg.0);
        }
    }
}

fn is_use(it: &Operand) -> bool {
    matches!(it.kind, Kind::Use | Kind::LateUse)
}

/// Whether two operands must be in different places.
fn clash(it: &Operand, other: &Operand) -> bool {
    match (it.kind, other.kind) {
        (Kind::Def | Kind::EarlyDef, Kind::Def | Kind::EarlyDef) => it.vreg != other.vreg,
        (Kind::EarlyDef, Kind::Use) => !matches!(it.constraint, Constraint::Tied(_)),
        (Kind::Def | Kind::EarlyDef, Kind::LateUse) => true,
        _ => false,
    }
}

/// Index of a place in a state.
fn place(alloc: Alloc) -> Option<usize> {
    match alloc {
        Alloc::Reg(reg) => Some(usize::from(reg.0)),
        Alloc::Stack(slot) => Some(32 + slot as usize),
        Alloc::None | Alloc::Remat(_) => None,
    }
}
