//! Random programs through allocator and checker, and what the code of small known programs must look like.

use super::generate::{SMALL, Shape, X64, program};
use super::{Input, RegInfo, allocate, check};

fn run(input: &Input, regs: &RegInfo, name: &str) {
    let output = allocate(input, regs);
    if let Err(what) = check(input, regs, &output) {
        panic!("{name}: {what}");
    }
}

#[test]
fn random_programs() {
    for seed in 0..3000 {
        let shape = Shape {
            size: [20, 60, 200, 600][seed as usize % 4],
            values: [4, 12, 40][seed as usize % 3],
            calls: [0, 5, 20][seed as usize / 4 % 3],
            odd: seed % 5 < 3,
            cold: [0, 30, 60][seed as usize / 3 % 3],
        };
        let regs = if seed % 2 == 0 { &X64 } else { &SMALL };
        run(&program(seed, shape, regs), regs, &format!("seed {seed}"));
    }
}
