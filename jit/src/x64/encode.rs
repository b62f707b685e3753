//! Encoding of x86-64 instructions with a register-or-memory operand.
//!
//! In: an opcode as a table entry ([`Enc`]), register numbers, an operand. Out: bytes. One encoder serves all such
//! instructions, because a macro expansion for each mnemonic and each form of address would be thousands; instructions and sequences of
//! fixed form are written with dynasm where they are used.

use dynasmrt::{DynasmApi, SimpleAssembler};

/// Mandatory prefix, opcode map and opcode of an instruction, and its W bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Enc {
    /// 0, 0x66, 0xf3 or 0xf2.
    pub(crate) prefix: u8,
    /// 0: one-byte opcodes, 1: 0F, 2: 0F 38, 3: 0F 3A.
    pub(crate) map: u8,
    /// The opcode.
    pub(crate) op: u8,
    /// Operand size 64 for integer registers.
    pub(crate) w: bool,
}

impl Enc {
    /// An instruction of a map.
    pub(crate) const fn new(prefix: u8, map: u8, op: u8) -> Enc {
        Enc { prefix, map, op, w: false }
    }
    /// With 64-bit operands.
    pub(crate) const fn wide(self) -> Enc {
        Enc { w: true, ..self }
    }
    /// With 64-bit operands if so.
    pub(crate) const fn w(self, w: bool) -> Enc {
        Enc { w, ..self }
    }
}

/// What a memory operand starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    /// A register.
    Reg(u8),
    /// Nothing.
    None,
    /// The function's constants: `disp` is an index and is resolved when their place is known.
    Const,
}

/// Whether an address counts from the base of the GS segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Segment {
    /// It does not.
    #[default]
    No,
    /// It does.
    Gs,
    /// It does, and is itself computed in 32 bits, wrapping around as an i32 index does.
    Gs32,
}

/// A register or a place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rm {
    /// A register of the kind that the instruction takes.
    Reg(u8),
    /// `base + index * scale + disp`.
    Mem { base: Base, index: Option<(u8, u8)>, disp: i32, segment: Segment },
}

/// Bytes of code so far, and where constants are referred to.
pub(crate) struct Asm {
    /// The bytes.
    pub(crate) code: SimpleAssembler,
    /// Places of 32-bit distances to constants: offset of the field, index of the constant, bytes of the instruction behind the
    /// field.
    pub(crate) const_refs: Vec<(u32, u32, u8)>,
}

impl Asm {
    /// Nothing yet.
    pub(crate) fn new(capacity: usize) -> Asm {
        let mut code = SimpleAssembler::new();
        code.ops.reserve(capacity);
        Asm { code, const_refs: Vec::new() }
    }
    /// Offset of the next byte.
    pub(crate) fn at(&self) -> u32 {
        self.code.offset().0 as u32
    }
    fn byte(&mut self, b: u8) {
        self.code.push(b);
    }
    /// A byte of immediate.
    pub(crate) fn imm8(&mut self, v: u8) {
        self.code.push(v);
    }
    /// Four bytes of immediate.
    pub(crate) fn imm32(&mut self, v: i32) {
        self.code.push_i32(v);
    }

    /// An instruction in the legacy encoding. `byte_reg`: the registers are 8 bits wide (needs REX for 4 to 7).
    pub(crate) fn legacy(&mut self, e: Enc, reg: u8, rm: Rm, byte_reg: bool, imm_bytes: u8) {
        self.segment(rm);
        if e.prefix != 0 {
            self.byte(e.prefix);
        }
        let (x, b) = high_bits(rm);
        let rm_reg = if let Rm::Reg(r) = rm { r } else { 0 };
        let force = byte_reg && (reg >= 4 || rm_reg >= 4);
        let rex = u8::from(e.w) << 3 | (reg >> 3) << 2 | x << 1 | b;
        if rex != 0 || force {
            self.byte(0x40 | rex);
        }
        match e.map {
            0 => {}
            1 => self.byte(0x0f),
            2 => {
                self.byte(0x0f);
                self.byte(0x38);
            }
            _ => {
                self.byte(0x0f);
                self.byte(0x3a);
            }
        }
        self.byte(e.op);
        self.modrm(reg, rm, imm_bytes);
    }

    /// An instruction in the VEX encoding; `l` for 256 bits.
    pub(crate) fn vex(&mut self, e: Enc, reg: u8, v: u8, rm: Rm, imm_bytes: u8) {
        self.vex_l(e, reg, v, rm, imm_bytes, false);
    }

    fn segment(&mut self, rm: Rm) {
        if let Rm::Mem { segment: s @ (Segment::Gs | Segment::Gs32), .. } = rm {
            self.byte(0x65);
            if s == Segment::Gs32 {
                self.byte(0x67);
            }
        }
    }

    fn vex_l(&mut self, e: Enc, reg: u8, v: u8, rm: Rm, imm_bytes: u8, l: bool) {
        self.segment(rm);
        let (x, b) = high_bits(rm);
        let pp = match e.prefix {
            0x66 => 1,
            0xf3 => 2,
            0xf2 => 3,
            _ => 0,
        };
        let last = (!v & 15) << 3 | u8::from(l) << 2 | pp;
        if x == 0 && b == 0 && !e.w && e.map == 1 {
            self.byte(0xc5);
            self.byte((!(reg >> 3) & 1) << 7 | last);
        } else {
            self.byte(0xc4);
            self.byte((!(reg >> 3) & 1) << 7 | (!x & 1) << 6 | (!b & 1) << 5 | e.map);
            self.byte(u8::from(e.w) << 7 | last);
        }
        self.byte(e.op);
        self.modrm(reg, rm, imm_bytes);
    }

    fn modrm(&mut self, reg: u8, rm: Rm, imm_bytes: u8) {
        let reg = (reg & 7) << 3;
        let (base, index, disp) = match rm {
            Rm::Reg(r) => return self.byte(0xc0 | reg | r & 7),
            Rm::Mem { base, index, disp, .. } => (base, index, disp),
        };
        match base {
            Base::Const => {
                self.byte(reg | 5);
                self.const_refs.push((self.at(), disp as u32, imm_bytes));
                self.imm32(0);
            }
            Base::None => {
                let (i, s) = index.unwrap_or((4, 1));
                self.byte(reg | 4);
                self.byte(scale_bits(s) | (i & 7) << 3 | 5);
                self.imm32(disp);
            }
            Base::Reg(b) => {
                let small = i8::try_from(disp);
                // rbp and r13 as a base always have a displacement.
                let mode = match small {
                    Ok(0) if b & 7 != 5 => 0,
                    Ok(_) => 0x40,
                    Err(_) => 0x80,
                };
                match index {
                    None if b & 7 != 4 => self.byte(mode | reg | b & 7),
                    None => {
                        self.byte(mode | reg | 4);
                        self.byte(0x24);
                    }
                    Some((i, s)) => {
                        self.byte(mode | reg | 4);
                        self.byte(scale_bits(s) | (i & 7) << 3 | b & 7);
                    }
                }
                match (mode, small) {
                    (0, _) => {}
                    (0x40, Ok(d)) => self.byte(d as u8),
                    _ => self.imm32(disp),
                }
            }
        }
    }
}

/// The X and B bits of a prefix.
fn high_bits(rm: Rm) -> (u8, u8) {
    match rm {
        Rm::Reg(r) => (0, r >> 3),
        Rm::Mem { base, index, .. } => {
            let b = if let Base::Reg(b) = base { b >> 3 } else { 0 };
            (index.map_or(0, |(i, _)| i >> 3), b)
        }
    }
}

fn scale_bits(scale: u8) -> u8 {
    (scale.trailing_zeros() as u8) << 6
}
