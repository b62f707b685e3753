//! Machine instructions as text, for `vm inspect`.

use super::lower::Lowered;
use crate::ir::print::print_position;
use crate::regalloc::{Alloc, Output};
use std::fmt::Write;

const GPR: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

fn place(a: Alloc) -> String {
    match a {
        Alloc::None => "-".into(),
        Alloc::Reg(p) if p.0 < 16 => GPR[p.0 as usize].into(),
        Alloc::Reg(p) => format!("xmm{}", p.0 - 16),
        Alloc::Stack(n) => format!("[rsp+{}]", n * 8),
        Alloc::Remat(t) => format!("remat {t}"),
    }
}

/// The instructions, with registers and moves if they have been allocated.
pub(crate) fn list(l: &Lowered, out: Option<&Output>) -> String {
    let mut s = String::new();
    for (b, block) in l.input.blocks.iter().enumerate() {
        let cold = if block.cold { " cold" } else { "" };
        let _ = writeln!(s, "block{b} depth {}{cold} -> {:?} params {:?}", block.loop_depth, block.succs, block.params);
        for i in block.insts.clone() {
            for m in out.iter().flat_map(|o| o.moves.iter().filter(|m| m.inst == i)) {
                let name = if m.swap { "swap" } else { "move" };
                let _ = writeln!(s, "        {name} {} <- {}  (v{})", place(m.to), place(m.from), m.vreg.0);
            }
            let inst = &l.insts[i as usize];
            s.push_str("  @");
            print_position(&mut s, &l.places, inst.pos);
            let _ = write!(s, " {:?}.{}", inst.op, inst.size);
            let range = l.input.operand_start[i as usize]..l.input.operand_start[i as usize + 1];
            for k in range {
                let o = l.input.operands[k as usize];
                let mark = if format!("{:?}", o.kind).contains("Def") { "=" } else { "" };
                match out {
                    Some(out) => {
                        let _ = write!(s, " {mark}{}", place(out.allocs[k as usize]));
                    }
                    None => {
                        let _ = write!(s, " {mark}v{}", o.vreg.0);
                    }
                }
            }
            let _ = writeln!(
                s,
                "  cc {} mem {:?} scale {} disp {} imm {:#x} op {:02x}",
                inst.cc, inst.mem, inst.scale, inst.disp, inst.imm, inst.enc.op
            );
        }
    }
    s
}
