//! Random programs through allocator and checker, and what the code of small known programs must look like.

use super::generate::{Builder, Random, SMALL, Shape, X64, operand, program};
use super::{Alloc, Class, Constraint, Input, Kind, Move, Output, PReg, RegInfo, RegSet, VReg, allocate, check};

/// What calls destroy.
const CALLER_SAVED: RegSet = (X64.int | X64.vec) & !X64.callee_saved;
const RAX: PReg = PReg(0);
const RCX: PReg = PReg(1);
const RDI: PReg = PReg(7);

fn run(input: &Input, regs: &RegInfo, name: &str) -> Output {
    let output = allocate(input, regs);
    if let Err(what) = check(input, regs, &output) {
        panic!("{name}: {what}");
    }
    output
}

fn random_case(seed: u64) -> (Input, &'static RegInfo) {
    let shape = Shape {
        size: [20, 60, 200, 600][seed as usize % 4],
        values: [4, 12, 40][seed as usize % 3],
        calls: [0, 5, 20][seed as usize / 4 % 3],
        odd: seed % 5 < 3,
        cold: [0, 30, 60][seed as usize / 3 % 3],
    };
    let regs = if seed.is_multiple_of(2) { &X64 } else { &SMALL };
    (program(seed, shape, regs), regs)
}

#[test]
fn random_programs() {
    for seed in 0..2500 {
        let (input, regs) = random_case(seed);
        run(&input, regs, &format!("seed {seed}"));
    }
}

#[test]
fn large_program() {
    let shape = Shape { size: 20_000, values: 300, calls: 5, odd: false, cold: 30 };
    let _ = allocate(&program(1, shape, &X64), &X64);
}

/// The checker rejects outputs in which a place or a move that matters was changed.
#[test]
fn checker_rejects_mutants() {
    let (mut tried, mut missed) = (0, 0);
    let mut random = Random(1);
    for seed in 0..150 {
        let (input, regs) = random_case(seed);
        let good = run(&input, regs, "before mutation");
        for _ in 0..6 {
            let Some(mutant) = mutate(&input, &good, &mut random) else { continue };
            tried += 1;
            missed += usize::from(check(&input, regs, &mutant).is_ok());
        }
    }
    // Some changes do no harm: a move that is dropped may have been to where the value is anyway.
    assert!(tried > 500 && missed * 20 < tried, "{missed} of {tried} mutants passed");
}

/// A copy of an output with one fault.
fn mutate(input: &Input, good: &Output, random: &mut Random) -> Option<Output> {
    let mut bad = Output { allocs: good.allocs.clone(), moves: good.moves.clone(), used: u32::MAX, ..*good };
    if random.chance(50) && !bad.moves.is_empty() {
        let at = random.below(bad.moves.len());
        bad.moves.remove(at);
        return Some(bad);
    }
    let at = (random.next() as usize).checked_rem(bad.allocs.len())?;
    let it = input.operands[at];
    if matches!(it.kind, Kind::Def | Kind::EarlyDef) && !is_read(input, it.vreg) {
        return None;
    }
    let Alloc::Reg(PReg(reg)) = bad.allocs[at] else { return None };
    bad.allocs[at] = Alloc::Reg(PReg(reg ^ 1));
    Some(bad)
}

fn is_read(input: &Input, vreg: VReg) -> bool {
    input.operands.iter().any(|o| o.vreg == vreg && matches!(o.kind, Kind::Use | Kind::LateUse))
}

#[test]
fn checker_rejects_broken_rules() {
    let mut b = Builder::default();
    let entry = b.block(0, false);
    b.at(entry);
    let (x, y) = (b.op(Class::Int, &[]), b.op(Class::Int, &[]));
    b.tied(&[x, y]);
    b.inst(vec![operand(y, Kind::Use, Constraint::Fixed(RCX))]);
    let input = b.finish(&[0]);
    let good = run(&input, &X64, "good");
    let with = |op: usize, alloc: Alloc| {
        let mut allocs = good.allocs.clone();
        allocs[op] = alloc;
        check(&input, &X64, &Output { allocs, moves: good.moves.clone(), used: u32::MAX, ..good })
    };
    assert!(with(0, Alloc::None).is_err());
    assert!(with(0, Alloc::Stack(0)).is_err());
    assert!(with(0, Alloc::Reg(PReg(16))).is_err());
    assert!(with(2, Alloc::Reg(PReg(11))).is_err(), "not where its tied use is");
    assert!(with(5, Alloc::Reg(RAX)).is_err(), "not in its fixed register");
}

fn moves_in<'a>(input: &Input, output: &'a Output, block: usize) -> Vec<&'a Move> {
    output.moves.iter().filter(|m| input.blocks[block].insts.contains(&m.inst)).collect()
}

/// `do { sum += i; i += 1 } while (i < n)`: nothing moves in the loop.
#[test]
fn loop_carries_no_moves() {
    let mut b = Builder::default();
    let (entry, head, back, out) = (b.block(0, false), b.block(1, false), b.block(1, false), b.block(0, false));
    b.at(entry);
    let n = b.vreg(Class::Int);
    b.inst(vec![operand(n, Kind::Def, Constraint::Fixed(RDI))]);
    let (zero, one) = (b.op(Class::Int, &[]), b.op(Class::Int, &[]));
    b.jump(head, vec![zero, one]);
    let (sum, i) = (b.param(head, Class::Int), b.param(head, Class::Int));
    b.at(head);
    let sum2 = b.tied(&[sum, i]);
    let i2 = b.tied(&[i]);
    b.inst(vec![operand(i2, Kind::Use, Constraint::Reg), operand(n, Kind::Use, Constraint::Any)]);
    b.branch(None, &[back, out]);
    b.at(back);
    b.jump(head, vec![sum2, i2]);
    b.at(out);
    b.inst(vec![operand(sum2, Kind::Use, Constraint::Fixed(RAX))]);
    let input = b.finish(&[entry, head, back, out]);
    let output = run(&input, &X64, "loop");
    assert!(output.moves.is_empty(), "{:?}", output.moves);
    assert_eq!(output.used & X64.callee_saved, 0);
}

/// Two variables change places in each round: one exchange, and no spill slot.
#[test]
fn swapped_variables() {
    let mut b = Builder::default();
    let (entry, head, back, out) = (b.block(0, false), b.block(1, false), b.block(1, false), b.block(0, false));
    b.at(entry);
    let (x, y) = (b.op(Class::Int, &[]), b.op(Class::Int, &[]));
    b.jump(head, vec![x, y]);
    let (p, q) = (b.param(head, Class::Int), b.param(head, Class::Int));
    b.at(head);
    b.inst(vec![operand(p, Kind::Use, Constraint::Reg), operand(q, Kind::Use, Constraint::Reg)]);
    b.branch(None, &[back, out]);
    b.at(back);
    b.jump(head, vec![q, p]);
    b.at(out);
    b.inst(vec![operand(p, Kind::Use, Constraint::Reg)]);
    let input = b.finish(&[entry, head, back, out]);
    let output = run(&input, &X64, "swap");
    assert_eq!(output.moves.len(), 1, "{:?}", output.moves);
    assert!(output.moves[0].swap);
}

/// A call on a cold path costs the hot path nothing: no moves, no register to be saved.
#[test]
fn cold_call_is_paid_for_there() {
    let mut b = Builder::default();
    let (entry, head, slow, next, back, out) = (
        b.block(0, false),
        b.block(1, false),
        b.block(1, true),
        b.block(1, false),
        b.block(1, false),
        b.block(0, false),
    );
    b.at(entry);
    let values: Vec<VReg> = (0..4).map(|_| b.op(Class::Int, &[])).collect();
    b.jump(head, vec![]);
    b.at(head);
    b.inst(values.iter().map(|&v| operand(v, Kind::Use, Constraint::Reg)).collect());
    b.branch(None, &[slow, next]);
    b.at(slow);
    b.call(vec![], CALLER_SAVED);
    b.jump(next, vec![]);
    b.at(next);
    b.branch(None, &[back, out]);
    b.at(back);
    b.jump(head, vec![]);
    b.at(out);
    b.inst(values.iter().map(|&v| operand(v, Kind::Use, Constraint::Any)).collect());
    // An edge from a branch to a block with two predecessors needs a block of its own.
    let input = split_edges(b.finish(&[entry, head, next, back, out, slow]));
    let output = run(&input, &X64, "cold call");
    for (index, block) in input.blocks.iter().enumerate().filter(|(_, block)| !block.cold) {
        assert!(moves_in(&input, &output, index).is_empty(), "block {index} of {block:?}: {:?}", output.moves);
    }
    assert_eq!(output.used & X64.callee_saved, 0);
    assert_eq!((output.stats.spills, output.stats.reloads), (4, 4));
}

/// Makes edges from branches to joins go by a block of their own, at the end.
fn split_edges(mut input: Input) -> Input {
    for from in 0..input.blocks.len() {
        for at in 0..input.blocks[from].succs.len() {
            let to = input.blocks[from].succs[at] as usize;
            if input.blocks[from].succs.len() < 2 || input.blocks[to].preds.len() < 2 {
                continue;
            }
            let new = input.blocks.len() as u32;
            let inst = input.clobbers.len() as u32;
            let depth = input.blocks[to].loop_depth;
            input.blocks[from].succs[at] = new;
            input.blocks[to].preds.iter_mut().filter(|p| **p == from as u32).for_each(|p| *p = new);
            input.blocks.push(super::Block {
                insts: inst..inst + 1,
                preds: vec![from as u32],
                succs: vec![to as u32],
                loop_depth: depth,
                ..super::Block::default()
            });
            input.clobbers.push(0);
            input.is_copy.push(false);
            input.operand_start.push(input.operands.len() as u32);
        }
    }
    input
}

/// `fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)`: one register across the calls, and no spill slots.
#[test]
fn fib() {
    let mut b = Builder::default();
    let (entry, small, large, out) = (b.block(0, false), b.block(0, false), b.block(0, false), b.block(0, false));
    b.at(entry);
    let n = b.vreg(Class::Int);
    b.inst(vec![operand(n, Kind::Def, Constraint::Fixed(RDI))]);
    b.inst(vec![operand(n, Kind::Use, Constraint::Any)]);
    b.branch(None, &[small, large]);
    b.at(small);
    b.jump(out, vec![n]);
    b.at(large);
    let call = |b: &mut Builder, arg: VReg| {
        let result = b.vreg(Class::Int);
        let operands =
            vec![operand(arg, Kind::Use, Constraint::Fixed(RDI)), operand(result, Kind::Def, Constraint::Fixed(RAX))];
        b.call(operands, CALLER_SAVED & !(1 << RAX.0));
        result
    };
    let less1 = b.op(Class::Int, &[n]);
    let one = call(&mut b, less1);
    let less2 = b.op(Class::Int, &[n]);
    let two = call(&mut b, less2);
    let sum = b.tied(&[two, one]);
    b.jump(out, vec![sum]);
    let result = b.param(out, Class::Int);
    b.at(out);
    b.inst(vec![operand(result, Kind::Use, Constraint::Fixed(RAX))]);
    let input = b.finish(&[entry, small, large, out]);
    let output = run(&input, &X64, "fib");
    assert_eq!(output.spill_slots, 0, "{:?}", output.moves);
    assert_eq!((output.used & X64.callee_saved).count_ones(), 1);
    // n to rbx, n to rax on the way out, and fib(n - 1) from rax to rbx.
    assert!(output.moves.len() <= 3, "{:?}", output.moves);
}

/// A value that is only live through a loop leaves its register to those that are used in it.
#[test]
fn loop_wins_over_what_is_live_through() {
    let mut b = Builder::default();
    let (entry, head, back, out) = (b.block(0, false), b.block(1, false), b.block(1, false), b.block(0, false));
    b.at(entry);
    let through: Vec<VReg> = (0..6).map(|_| b.op(Class::Int, &[])).collect();
    let used: Vec<VReg> = (0..12).map(|_| b.op(Class::Int, &[])).collect();
    b.jump(head, vec![]);
    b.at(head);
    for pair in used.chunks(2) {
        b.inst(pair.iter().map(|&v| operand(v, Kind::Use, Constraint::Reg)).collect());
    }
    b.branch(None, &[back, out]);
    b.at(back);
    b.jump(head, vec![]);
    b.at(out);
    b.inst(through.iter().map(|&v| operand(v, Kind::Use, Constraint::Reg)).collect());
    let input = b.finish(&[entry, head, back, out]);
    let output = run(&input, &X64, "live through");
    assert!(moves_in(&input, &output, 1).is_empty() && moves_in(&input, &output, 2).is_empty(), "{:?}", output.moves);
}

/// Constants are made anew, not stored.
#[test]
fn constants_are_not_stored() {
    let mut b = Builder::default();
    let entry = b.block(0, false);
    b.at(entry);
    let values: Vec<VReg> = (0..20).map(|_| b.op(Class::Int, &[])).collect();
    for (token, v) in (0..).zip(&values) {
        b.input.remat[v.0 as usize] = token;
    }
    for &v in &values {
        b.inst(vec![operand(v, Kind::Use, Constraint::Reg)]);
    }
    let output = run(&b.finish(&[entry]), &X64, "constants");
    assert_eq!((output.spill_slots, output.stats.spills, output.stats.reloads), (0, 0, 0));
    assert!(output.stats.remats > 0);
}
