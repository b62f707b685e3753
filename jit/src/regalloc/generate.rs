//! Random programs for tests: structured control flow in SSA form.

use super::{Block, Class, Constraint, Input, Kind, NO_REMAT, Operand, PReg, RegInfo, RegSet, VReg};

/// The registers of x86-64 as the compiler uses them.
pub(super) const X64: RegInfo = RegInfo {
    int: 0xffff & !(1 << 4 | 1 << 14 | 1 << 15),
    vec: 0x7fff << 16,
    callee_saved: 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13,
    scratch_vec: PReg(31),
};

/// A machine with few registers.
pub(super) const SMALL: RegInfo =
    RegInfo { int: 0b11111, vec: 0b1111 << 16, callee_saved: 0b11000, scratch_vec: PReg(31) };

/// Small deterministic random numbers (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Builds an [`Input`], block by block.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) input: Input,
    blocks: Vec<Draft>,
    current: usize,
}

#[derive(Default)]
struct Draft {
    /// Its `throws` counts from its start.
    block: Block,
    insts: Vec<Inst>,
}

#[derive(Default)]
struct Inst {
    operands: Vec<Operand>,
    clobbers: RegSet,
    copy: bool,
}

pub(super) fn operand(vreg: VReg, kind: Kind, constraint: Constraint) -> Operand {
    Operand { vreg, kind, constraint }
}

impl Builder {
    pub(super) fn vreg(&mut self, class: Class) -> VReg {
        self.input.classes.push(class);
        self.input.remat.push(NO_REMAT);
        VReg(self.input.classes.len() as u32 - 1)
    }

    pub(super) fn block(&mut self, depth: u32, cold: bool) -> usize {
        self.blocks.push(Draft { block: Block { loop_depth: depth, cold, ..Block::default() }, insts: Vec::new() });
        self.blocks.len() - 1
    }

    pub(super) fn at(&mut self, block: usize) {
        self.current = block;
    }

    pub(super) fn param(&mut self, block: usize, class: Class) -> VReg {
        let vreg = self.vreg(class);
        self.blocks[block].block.params.push(vreg);
        vreg
    }

    pub(super) fn inst(&mut self, operands: Vec<Operand>) {
        self.call(operands, 0);
    }

    pub(super) fn call(&mut self, operands: Vec<Operand>, clobbers: RegSet) {
        self.blocks[self.current].insts.push(Inst { operands, clobbers, copy: false });
    }

    /// An instruction that defines a value of a class from others.
    pub(super) fn op(&mut self, class: Class, uses: &[VReg]) -> VReg {
        let to = self.vreg(class);
        let mut operands = vec![operand(to, Kind::Def, Constraint::Reg)];
        operands.extend(uses.iter().map(|&u| operand(u, Kind::Use, Constraint::Reg)));
        self.inst(operands);
        to
    }

    /// The same, tied to the first use.
    pub(super) fn tied(&mut self, uses: &[VReg]) -> VReg {
        let to = self.vreg(self.input.classes[uses[0].0 as usize]);
        let mut operands = vec![operand(to, Kind::Def, Constraint::Tied(1))];
        operands.extend(uses.iter().map(|&u| operand(u, Kind::Use, Constraint::Reg)));
        self.inst(operands);
        to
    }

    pub(super) fn copy(&mut self, from: VReg) -> VReg {
        let to = self.vreg(self.input.classes[from.0 as usize]);
        let operands = vec![operand(to, Kind::Def, Constraint::Reg), operand(from, Kind::Use, Constraint::Any)];
        self.blocks[self.current].insts.push(Inst { operands, clobbers: 0, copy: true });
        to
    }

    pub(super) fn jump(&mut self, to: usize, args: Vec<VReg>) {
        self.inst(Vec::new());
        self.blocks[self.current].block.args = args;
        self.edge(to);
    }

    pub(super) fn branch(&mut self, condition: Option<VReg>, targets: &[usize]) {
        self.inst(condition.iter().map(|&c| operand(c, Kind::Use, Constraint::Reg)).collect());
        for &to in targets {
            self.edge(to);
        }
    }

    /// Lets the last instruction be one that may throw.
    pub(super) fn throws(&mut self) {
        let draft = &mut self.blocks[self.current];
        draft.block.throws = Some(draft.insts.len() as u32 - 1);
    }

    fn edge(&mut self, to: usize) {
        let from = self.current;
        self.blocks[from].block.succs.push(to as u32);
        self.blocks[to].block.preds.push(from as u32);
    }

    /// Lays the blocks out in the order given.
    pub(super) fn finish(mut self, order: &[usize]) -> Input {
        let mut place = vec![0; self.blocks.len()];
        for (index, &block) in (0..).zip(order) {
            place[block] = index;
        }
        let input = &mut self.input;
        for &index in order {
            let draft = std::mem::take(&mut self.blocks[index]);
            let start = input.clobbers.len() as u32;
            for inst in draft.insts {
                input.operand_start.push(input.operands.len() as u32);
                input.operands.extend(inst.operands);
                input.clobbers.push(inst.clobbers);
                input.is_copy.push(inst.copy);
            }
            let mut block = draft.block;
            block.insts = start..input.clobbers.len() as u32;
            block.throws = block.throws.map(|at| start + at);
            block.succs.iter_mut().chain(&mut block.preds).for_each(|b| *b = place[*b as usize]);
            input.blocks.push(block);
        }
        input.operand_start.push(input.operands.len() as u32);
        self.input
    }

    /// Lays the blocks out as they were made, cold ones last.
    pub(super) fn finish_cold_last(self) -> Input {
        let (cold, hot): (Vec<usize>, Vec<usize>) = (0..self.blocks.len()).partition(|&b| self.blocks[b].block.cold);
        let order: Vec<usize> = hot.into_iter().chain(cold).collect();
        self.finish(&order)
    }
}

/// What random programs are like.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// How many instructions, about.
    pub(super) size: usize,
    /// How many values may be in use.
    pub(super) values: usize,
    /// Percentage of calls.
    pub(super) calls: usize,
    /// Whether to use the constraints that real code has seldom.
    pub(super) odd: bool,
    /// Percentage of cold branches.
    pub(super) cold: usize,
}

/// A random program.
pub(super) fn program(seed: u64, shape: Shape, regs: &RegInfo) -> Input {
    let mut random = Random(seed);
    let budget = shape.size as i64;
    let int: Vec<u8> = (0..16).filter(|r| regs.int >> r & 1 != 0).collect();
    let vec: Vec<u8> = (16..32).filter(|r| regs.vec >> r & 1 != 0).collect();
    let mut maker = Maker {
        b: Builder::default(),
        shape,
        regs: *regs,
        values: Vec::new(),
        depth: 0,
        cold: false,
        budget,
        int,
        vec,
        random: Random(random.next()),
    };
    let entry = maker.b.block(0, false);
    maker.b.at(entry);
    maker.entry();
    maker.body(0);
    while maker.budget > 0 {
        maker.body(0);
    }
    maker.ret();
    if random.chance(80) { maker.b.finish_cold_last() } else { maker.shuffled(&mut random) }
}

struct Maker {
    b: Builder,
    shape: Shape,
    regs: RegInfo,
    random: Random,
    /// Values that may be used here.
    values: Vec<VReg>,
    depth: u32,
    cold: bool,
    budget: i64,
    int: Vec<u8>,
    vec: Vec<u8>,
}

impl Maker {
    /// Lays out the blocks with some of them moved elsewhere.
    fn shuffled(self, random: &mut Random) -> Input {
        let count = self.b.blocks.len();
        let mut order: Vec<usize> = (0..count).collect();
        if count > 2 {
            for _ in 0..1 + random.below(4) {
                let (from, to) = (1 + random.below(count - 1), 1 + random.below(count - 1));
                let block = order.remove(from);
                order.insert(to, block);
            }
        }
        self.b.finish(&order)
    }

    fn entry(&mut self) {
        let mut operands = Vec::new();
        let (ints, vecs) = (self.random.below(self.int.len() + 1), self.random.below(self.vec.len() + 1));
        for index in 0..ints + vecs {
            let (class, reg) =
                if index < ints { (Class::Int, self.int[index]) } else { (self.vec_class(), self.vec[index - ints]) };
            let vreg = self.b.vreg(class);
            operands.push(operand(vreg, Kind::Def, Constraint::Fixed(PReg(reg))));
            self.values.push(vreg);
        }
        self.b.inst(operands);
        for class in [Class::Int, Class::Float, Class::Vec] {
            let vreg = self.b.op(class, &[]);
            self.values.push(vreg);
        }
    }

    fn ret(&mut self) {
        let value = self.value(Class::Int);
        let operands = vec![operand(value, Kind::Use, Constraint::Fixed(PReg(self.int[0])))];
        self.b.inst(operands);
    }

    fn vec_class(&mut self) -> Class {
        if self.random.chance(70) { Class::Float } else { Class::Vec }
    }

    fn class(&mut self) -> Class {
        if self.random.chance(70) { Class::Int } else { self.vec_class() }
    }

    /// A value of a class; recent ones are likelier.
    fn value(&mut self, class: Class) -> VReg {
        for _ in 0..20 {
            let len = self.values.len();
            let near = if self.random.chance(60) {
                self.random.below(len.min(6))
            } else {
                self.random.below(len.min(self.shape.values))
            };
            let it = self.values[len - 1 - near];
            if self.b.input.classes[it.0 as usize] == class {
                return it;
            }
        }
        let it = self.b.op(class, &[]);
        self.values.push(it);
        it
    }

    fn body(&mut self, nesting: u32) {
        for _ in 0..1 + self.random.below(6) {
            if self.budget <= 0 {
                return;
            }
            match self.random.below(100) {
                0..10 if nesting < 6 => self.branch(nesting),
                10..16 if nesting < 6 => self.repeat(nesting),
                16..18 if nesting < 6 => self.switch(nesting),
                18..24 if nesting < 6 && self.shape.calls > 0 => self.catching(nesting),
                _ => {
                    for _ in 0..1 + self.random.below(6) {
                        self.inst();
                    }
                }
            }
        }
    }

    fn inst(&mut self) {
        self.budget -= 1;
        if self.random.chance(self.shape.calls) {
            self.call();
            return;
        }
        let class = self.class();
        match self.random.below(100) {
            0..8 => {
                let to = self.b.op(class, &[]);
                if self.random.chance(70) {
                    self.b.input.remat[to.0 as usize] = self.random.below(1000) as u32;
                }
                self.values.push(to);
            }
            8..16 => {
                let from = self.value(class);
                let to = self.b.copy(from);
                self.values.push(to);
            }
            16..24 => self.shift(),
            24..28 if self.shape.odd && self.int.len() > 3 => self.divide(),
            28..40 if self.shape.odd => self.odd(class),
            40..60 => {
                let uses: Vec<VReg> = (0..1 + self.random.below(2)).map(|_| self.value(class)).collect();
                let to = self.b.op(class, &uses);
                self.values.push(to);
            }
            60..68 => {
                let uses = [self.value(Class::Int), self.value(class)];
                self.b.inst(uses.iter().map(|&u| operand(u, Kind::Use, Constraint::Reg)).collect());
            }
            _ => self.tied(class),
        }
    }

    fn tied(&mut self, class: Class) {
        let uses = [self.value(class), self.value(class)];
        let to = self.b.vreg(class);
        let second = if self.random.chance(50) { Constraint::Any } else { Constraint::Reg };
        self.b.inst(vec![
            operand(to, Kind::Def, Constraint::Tied(1)),
            operand(uses[0], Kind::Use, Constraint::Reg),
            operand(uses[1], Kind::Use, second),
        ]);
        self.values.push(to);
    }

    /// A shift by a register that is fixed.
    fn shift(&mut self) {
        let (value, count) = (self.value(Class::Int), self.value(Class::Int));
        let to = self.b.vreg(Class::Int);
        self.b.inst(vec![
            operand(to, Kind::Def, Constraint::Tied(1)),
            operand(value, Kind::Use, Constraint::Reg),
            operand(count, Kind::Use, Constraint::Fixed(PReg(self.int[1]))),
        ]);
        self.values.push(to);
    }

    /// A division: fixed uses and definitions of the same registers.
    fn divide(&mut self) {
        let (low, high, by) = (self.value(Class::Int), self.value(Class::Int), self.value(Class::Int));
        let (quotient, rest) = (self.b.vreg(Class::Int), self.b.vreg(Class::Int));
        let [a, d] = [PReg(self.int[0]), PReg(self.int[2])];
        let by_kind = if self.random.chance(50) { Kind::Use } else { Kind::LateUse };
        let by_place = if self.random.chance(50) { Constraint::Any } else { Constraint::Reg };
        self.b.inst(vec![
            operand(quotient, Kind::Def, Constraint::Fixed(a)),
            operand(rest, Kind::Def, Constraint::Fixed(d)),
            operand(low, Kind::Use, Constraint::Fixed(a)),
            operand(high, Kind::Use, Constraint::Fixed(d)),
            operand(by, by_kind, by_place),
        ]);
        self.values.extend([quotient, rest]);
    }

    /// Late uses, early definitions, definitions anywhere, single clobbers.
    fn odd(&mut self, class: Class) {
        let to = self.b.vreg(class);
        let kind = if self.random.chance(50) { Kind::Def } else { Kind::EarlyDef };
        let place = if self.random.chance(30) { Constraint::Any } else { Constraint::Reg };
        let mut operands = vec![operand(to, kind, place)];
        for _ in 0..1 + self.random.below(2) {
            let it = self.value(class);
            let kind = if self.random.chance(40) { Kind::LateUse } else { Kind::Use };
            let place = if self.random.chance(40) { Constraint::Any } else { Constraint::Reg };
            operands.push(operand(it, kind, place));
        }
        let (int, vec) = (self.int[self.random.below(self.int.len())], self.vec[self.random.below(self.vec.len())]);
        self.b.call(operands, if self.random.chance(30) { 1 << int | 1 << vec } else { 0 });
        self.values.push(to);
    }

    /// Answers how many results it has.
    fn call(&mut self) -> usize {
        let mut results = 0;
        let mut operands = Vec::new();
        let mut clobbers = (self.regs.int | self.regs.vec) & !self.regs.callee_saved;
        let caller: Vec<u8> = self.int.iter().copied().filter(|r| clobbers >> r & 1 != 0).collect();
        for &reg in
            caller.iter().skip(1).take(self.random.below(7)).chain(self.vec.clone().iter().take(self.random.below(3)))
        {
            let class = if reg < 16 { Class::Int } else { self.vec_class() };
            operands.push(operand(self.value(class), Kind::Use, Constraint::Fixed(PReg(reg))));
        }
        if self.random.chance(20) {
            let place = if self.random.chance(50) { Constraint::Any } else { Constraint::Reg };
            operands.push(operand(self.value(Class::Int), Kind::Use, place));
        }
        for (regs, percent) in [(caller, 60), (self.vec.clone(), 20)] {
            if self.random.chance(percent) {
                let class = if regs[0] < 16 { Class::Int } else { self.vec_class() };
                let to = self.b.vreg(class);
                operands.push(operand(to, Kind::Def, Constraint::Fixed(PReg(regs[0]))));
                clobbers &= !(1 << regs[0]);
                self.values.push(to);
                results += 1;
            }
        }
        self.b.call(operands, clobbers);
        results
    }

    fn new_block(&mut self) -> usize {
        self.b.block(self.depth, self.cold)
    }

    fn branch_to(&mut self, targets: &[usize]) {
        let condition = self.random.chance(50).then(|| self.value(Class::Int));
        self.b.branch(condition, targets);
    }

    /// Values to pass to a block, and where they arrive.
    fn pass(&mut self, to: usize, classes: &[Class]) {
        let args = classes.iter().map(|&c| self.value(c)).collect();
        self.b.jump(to, args);
    }

    fn classes(&mut self) -> Vec<Class> {
        (0..self.random.below(4)).map(|_| self.class()).collect()
    }

    /// `if`, with or without `else`, one side of which may be cold.
    fn branch(&mut self, nesting: u32) {
        self.arms(nesting, 2);
    }

    fn switch(&mut self, nesting: u32) {
        let arms = 2 + self.random.below(5);
        self.arms(nesting, arms);
    }

    fn arms(&mut self, nesting: u32, count: usize) {
        let was_cold = self.cold;
        let mut targets = Vec::new();
        for _ in 0..count {
            self.cold = was_cold || !targets.is_empty() && self.random.chance(self.shape.cold);
            targets.push((self.new_block(), self.cold));
        }
        let known = self.values.len();
        self.branch_to(&targets.iter().map(|t| t.0).collect::<Vec<_>>());
        let targets = targets.into_iter().map(|(block, cold)| (block, cold, Vec::new())).collect();
        self.run_arms(nesting, known, targets);
        self.cold = was_cold;
    }

    /// A call that may throw, with what reads its results from memory behind it; they exist in one of the arms only.
    fn catching(&mut self, nesting: u32) {
        let was_cold = self.cold;
        let next = (self.new_block(), was_cold);
        self.cold |= self.random.chance(80);
        let landing = (self.new_block(), self.cold, Vec::new());
        self.cold = was_cold;
        let results = self.call();
        self.b.throws();
        let known = self.values.len() - results;
        if self.random.chance(30) {
            let area = self.b.op(Class::Int, &[]);
            for _ in 0..1 + self.random.below(2) {
                let class = self.class();
                let to = self.b.op(class, &[area]);
                self.values.push(to);
            }
        }
        let results = self.values.split_off(known);
        self.b.branch(None, &[landing.0, next.0]);
        self.run_arms(nesting, known, vec![(next.0, next.1, results), landing]);
        self.cold = was_cold;
    }

    /// Fills blocks that a branch leads to, each with the values that exist only there, and joins their ends.
    fn run_arms(&mut self, nesting: u32, known: usize, targets: Vec<(usize, bool, Vec<VReg>)>) {
        let was_cold = self.cold;
        let classes = self.classes();
        let mut ends = Vec::new();
        for (target, cold, values) in targets {
            self.cold = cold;
            self.values.extend(values);
            self.b.at(target);
            self.body(nesting + 1);
            let args: Vec<VReg> = classes.iter().map(|&c| self.value(c)).collect();
            ends.push((self.b.current, args));
            self.values.truncate(known);
        }
        self.cold = was_cold;
        let join = self.new_block();
        for (end, args) in ends {
            self.b.at(end);
            self.b.jump(join, args);
        }
        for class in classes {
            let param = self.b.param(join, class);
            self.values.push(param);
        }
        self.b.at(join);
    }

    /// A loop, tested at the end or in the middle.
    fn repeat(&mut self, nesting: u32) {
        let classes = self.classes();
        self.depth += 1;
        let head = self.new_block();
        self.pass(head, &classes);
        let known = self.values.len();
        for &class in &classes {
            let param = self.b.param(head, class);
            self.values.push(param);
        }
        self.b.at(head);
        self.body(nesting + 1);
        let inside = self.values.len();
        let (back, next) = (self.new_block(), self.new_block());
        self.depth -= 1;
        let out = self.new_block();
        self.branch_to(&[next, out]);
        self.depth += 1;
        self.b.at(next);
        if self.random.chance(50) {
            self.body(nesting + 1);
        }
        self.b.jump(back, Vec::new());
        self.b.at(back);
        self.pass(head, &classes);
        self.depth -= 1;
        self.values.truncate(if self.random.chance(50) { inside } else { known });
        self.b.at(out);
    }
}
