//! Shuffles and swizzles.
//!
//! In: two vectors and sixteen numbers of bytes; or a vector and a vector of numbers. Out: the cheapest instruction that does it:
//! a copy, a permutation of wider lanes, interleaving, a shift of both, a choice by lanes; failing those, `pshufb` of each
//! input with zeros where the other one's bytes come.

use super::lanes::PSHUFLW;
use super::{Bits, PAND, POR, PSHUFB, PSHUFD, ext, ext_imm, int, lanes8};
use crate::ir::Value;
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::lower::{Lower, RmOp};

type Lanes = [u8; 16];

const PSHUFHW: Enc = Enc::new(0xf3, 1, 0x70);
const PALIGNR: Enc = ext_imm(0x0f);
const PBLENDW: Enc = ext_imm(0x0e);
const SHUFPS: Enc = Enc::new(0, 1, 0xc6);

/// The same permutation by lanes of `width` bytes, if it is one.
pub(super) fn wider<const N: usize>(lanes: Lanes, width: u8) -> Option<[u8; N]> {
    let mut wide = [0; N];
    for (w, part) in wide.iter_mut().zip(lanes.chunks(usize::from(width))) {
        if part[0] % width != 0 || part.iter().zip(part[0]..).any(|(&x, y)| x != y) {
            return None;
        }
        *w = part[0] / width;
    }
    Some(wide)
}

/// Four lanes as an immediate.
pub(super) fn immediate(lanes: &[u8]) -> u8 {
    lanes.iter().rev().fold(0, |imm, &x| imm << 2 | x & 3)
}

/// The interleaving of two vectors that it is: number of the opcode from `punpcklbw` on.
pub(super) fn interleaving(lanes: Lanes) -> Option<u8> {
    let matches = |width: u8, first: u8| {
        (0..16).all(|i| {
            let (lane, byte) = (i / width, i % width);
            lanes[usize::from(i)] == (lane & 1) * 16 + first + lane / 2 * width + byte
        })
    };
    const OPCODES: [(u8, u8, u8); 8] = [
        (1, 0, 0x60),
        (2, 0, 0x61),
        (4, 0, 0x62),
        (8, 0, 0x6c),
        (1, 8, 0x68),
        (2, 8, 0x69),
        (4, 8, 0x6a),
        (8, 8, 0x6d),
    ];
    OPCODES.iter().find(|&&(width, first, _)| matches(width, first)).map(|o| o.2)
}

/// The number of the first byte, if they are consecutive.
pub(super) fn consecutive(lanes: Lanes) -> Option<u8> {
    (1..16).all(|i| lanes[i] == lanes[0] + i as u8).then_some(lanes[0])
}

/// Which words come from the second vector, if all stay in their places.
pub(super) fn word_blend(lanes: Lanes) -> Option<u8> {
    let words: [u8; 8] = wider(lanes, 2)?;
    let mut imm = 0;
    for (i, w) in (0..8).zip(words) {
        if w & 7 != i {
            return None;
        }
        imm |= (w >> 3) << i;
    }
    Some(imm)
}

/// Whether all bytes stay in their places.
fn in_place(lanes: Lanes) -> bool {
    (0..16).zip(lanes).all(|(i, x)| x & 15 == i)
}

impl Lower<'_> {
    pub(super) fn shuffle(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let [a, b, _] = i.args;
        let d = self.def(v);
        let lanes = self.f.vectors[i.imm as usize].to_le_bytes();
        if a == b || lanes.iter().all(|&x| x < 16) {
            return self.shuffle_one(d, a, lanes.map(|x| x & 15));
        }
        if lanes.iter().all(|&x| x >= 16) {
            return self.shuffle_one(d, b, lanes.map(|x| x & 15));
        }
        if self.shuffle_direct(d, a, b, lanes) || self.shuffle_direct(d, b, a, lanes.map(|x| x ^ 16)) {
            return;
        }
        if in_place(lanes) && self.cpu.avx && self.vector_bits(a).is_none() && self.vector_bits(b).is_none() {
            let mask = self.vector_const(u128::from_le_bytes(lanes.map(|x| if x < 16 { 0 } else { 0xff })));
            let (a, b) = (self.vreg(a), self.vreg(b));
            return self.blend_to(d, mask, b, a, true);
        }
        self.shuffle_bytes(d, a, b, lanes);
    }

    fn shuffle_one(&mut self, d: VReg, a: Value, lanes: Lanes) {
        if consecutive(lanes) == Some(0) {
            let a = self.vreg(a);
            return self.copy_to(d, a);
        }
        if let Some(dwords) = wider::<4>(lanes, 4) {
            let a = self.vrm(a);
            return self.one_imm_to(d, PSHUFD, a, immediate(&dwords));
        }
        if let Some(words) = wider::<8>(lanes, 2)
            && self.shuffle_words(d, a, words)
        {
            return;
        }
        let a = self.vreg(a);
        if self.cpu.avx2 && lanes == [0; 16] {
            return self.one_to(d, ext(0x78), RmOp::Reg(a));
        }
        let rotation = lanes[0];
        if (0..16).zip(lanes).all(|(i, x)| x == (i + rotation) & 15) {
            return self.two_imm_to(d, PALIGNR, a, a, rotation);
        }
        // Both operands alike: every number may stand for either.
        let doubled = std::array::from_fn(|i| lanes[i] + if i % 2 == 1 { 16 } else { 0 });
        let words = std::array::from_fn(|i| lanes[i] + if i / 2 % 2 == 1 { 16 } else { 0 });
        if let Some(op) = interleaving(doubled).or_else(|| interleaving(words)) {
            return self.two_to(d, int(op), a, a);
        }
        self.two_to(d, PSHUFB, a, Bits(u128::from_le_bytes(lanes)));
    }

    /// Words that move within one half only, or the first one everywhere.
    fn shuffle_words(&mut self, d: VReg, a: Value, words: [u8; 8]) -> bool {
        let stay = |first: u8| (0..4).all(|i| words[usize::from(first + i)] == first + i);
        let within = |first: u8| words[usize::from(first)..][..4].iter().all(|&w| w & 4 == first);
        if stay(4) && within(0) {
            let a = self.vrm(a);
            self.one_imm_to(d, PSHUFLW, a, immediate(&words[..4]));
        } else if stay(0) && within(4) {
            let a = self.vrm(a);
            self.one_imm_to(d, PSHUFHW, a, immediate(&words[4..]));
        } else if self.cpu.avx2 && words == [0; 8] {
            let a = self.vreg(a);
            self.one_to(d, ext(0x79), a);
        } else {
            return false;
        }
        true
    }

    /// One instruction of which the operands are `a` and `b` in this order.
    fn shuffle_direct(&mut self, d: VReg, a: Value, b: Value, lanes: Lanes) -> bool {
        if let Some(op) = interleaving(lanes) {
            let b = self.vrm(b);
            let a = self.vreg(a);
            self.two_to(d, int(op), a, b);
        } else if let Some(n) = consecutive(lanes) {
            // The first operand is the upper one.
            let a = self.vrm(a);
            let b = self.vreg(b);
            self.two_imm_to(d, PALIGNR, b, a, n);
        } else if let Some(imm) = word_blend(lanes) {
            let b = self.vrm(b);
            let a = self.vreg(a);
            self.two_imm_to(d, PBLENDW, a, b, imm);
        } else if let Some([w, x, y, z]) = wider::<4>(lanes, 4).filter(|l| l[0].max(l[1]) < 4 && l[2].min(l[3]) >= 4) {
            let b = self.vrm(b);
            let a = self.vreg(a);
            self.two_imm_to(d, SHUFPS, a, b, immediate(&[w, x, y, z]));
        } else {
            return false;
        }
        true
    }

    /// Any shuffle.
    fn shuffle_bytes(&mut self, d: VReg, a: Value, b: Value, lanes: Lanes) {
        let of_a = lanes.map(|x| if x < 16 { x } else { 0x80 });
        let of_b = lanes.map(|x| if x < 16 { 0x80 } else { x & 15 });
        match (self.known_part(a, of_a), self.known_part(b, of_b)) {
            (Some(0), _) => self.part_to(d, b, of_b),
            (_, Some(0)) => self.part_to(d, a, of_a),
            (Some(known), _) => {
                let part = self.part(b, of_b);
                self.two_to(d, POR, part, Bits(known));
            }
            (_, Some(known)) => {
                let part = self.part(a, of_a);
                self.two_to(d, POR, part, Bits(known));
            }
            _ => {
                let first = self.part(a, of_a);
                let second = self.part(b, of_b);
                self.two_to(d, POR, first, second);
            }
        }
    }

    /// What `pshufb` makes of a constant.
    fn known_part(&self, v: Value, lanes: Lanes) -> Option<u128> {
        let bytes = self.vector_bits(v)?.to_le_bytes();
        Some(u128::from_le_bytes(lanes.map(|x| if x < 16 { bytes[usize::from(x)] } else { 0 })))
    }

    fn part(&mut self, v: Value, lanes: Lanes) -> VReg {
        let d = self.temp(crate::ir::Type::V128);
        self.part_to(d, v, lanes);
        d
    }

    /// Bytes of one vector, zeros where the number is 0x80.
    fn part_to(&mut self, d: VReg, v: Value, lanes: Lanes) {
        let a = self.vreg(v);
        if (0..16).zip(lanes).all(|(i, x)| x == i || x == 0x80) {
            let mask = lanes.map(|x| if x < 16 { 0xff } else { 0 });
            return self.two_to(d, PAND, a, Bits(u128::from_le_bytes(mask)));
        }
        self.two_to(d, PSHUFB, a, Bits(u128::from_le_bytes(lanes)));
    }

    /// Bytes by number, zero for numbers above 15.
    pub(super) fn swizzle(&mut self, d: VReg, a: Value, numbers: Value) {
        if let Some(bits) = self.vector_bits(numbers) {
            let lanes = bits.to_le_bytes().map(|x| if x < 16 { x } else { 0x80 });
            if lanes.iter().all(|&x| x < 16) {
                return self.shuffle_one(d, a, lanes);
            }
            return self.part_to(d, a, lanes);
        }
        let numbers = self.vreg(numbers);
        let a = self.vreg(a);
        // `pshufb` clears where the topmost bit is set: all that is above 15 gets it.
        let lanes = self.two(int(0xdc), numbers, Bits(lanes8(0x70)));
        self.two_to(d, PSHUFB, a, lanes);
    }
}
