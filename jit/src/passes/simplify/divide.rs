//! Division and remainder by constants, without a division (Granlund and Montgomery 1994; Warren, Hacker's Delight).
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - The divisor is neither 0 nor, for `DivS`, -1; the least integer is a power of two of its own.
//! - The multiplier is exact for every dividend of its width, or of those whose topmost bits are known to be zero.

use super::*;

/// The value of a division or remainder by a constant that cannot trap, or `None`: the divisor is 0, or it is -1 and the
/// operation `DivS`.
pub fn divide(f: &mut Func, op: Op, ty: Type, a: Value, c: i64, pos: u32) -> Option<Value> {
    let d = Divide { ty, a, pos };
    if c == 0 || (op == Op::DivS && c == -1) {
        return None;
    }
    if let Some(x) = f.as_iconst(a) {
        let (u, v) = (x as u64 & mask(ty), c as u64 & mask(ty));
        let r = match op {
            Op::DivS => x.wrapping_div(c),
            Op::RemS => x.wrapping_rem(c),
            Op::DivU => (u / v) as i64,
            _ => (u % v) as i64,
        };
        return int_const(f, ty, r);
    }
    Some(match op {
        Op::DivU => d.unsigned(f, c as u64 & mask(ty)),
        Op::DivS => d.signed(f, c),
        Op::RemU if (c as u64 & mask(ty)).is_power_of_two() => {
            bin_const(f, Op::And, ty, a, ((c as u64 & mask(ty)) - 1) as i64, pos)
        }
        Op::RemU => {
            let q = d.unsigned(f, c as u64 & mask(ty));
            d.rest(f, q, c)
        }
        _ if c == 1 || c == -1 => f.iconst(ty, 0),
        _ => d.signed_rest(f, c),
    })
}

struct Divide {
    ty: Type,
    a: Value,
    pos: u32,
}

impl Divide {
    fn con(&self, f: &mut Func, op: Op, x: Value, c: i64) -> Value {
        bin_const(f, op, self.ty, x, c, self.pos)
    }
    fn bin(&self, f: &mut Func, op: Op, x: Value, y: Value) -> Value {
        bin(f, op, self.ty, x, y, self.pos)
    }
    fn rest(&self, f: &mut Func, q: Value, c: i64) -> Value {
        let back = self.con(f, Op::Mul, q, c);
        self.bin(f, Op::Sub, self.a, back)
    }

    fn unsigned(&self, f: &mut Func, d: u64) -> Value {
        if d.is_power_of_two() {
            return self.con(f, Op::ShrU, self.a, i64::from(d.trailing_zeros()));
        }
        if self.ty == Type::I32 { self.unsigned32(f, d) } else { self.unsigned64(f, d, 0) }
    }

    /// In 64 bits, where the product with a 32-bit reciprocal fits; one of 33 bits is moved up to the upper half.
    fn unsigned32(&self, f: &mut Func, d: u64) -> Value {
        let l = 64 - (d - 1).leading_zeros();
        let wide = un(f, Op::ExtU, Type::I64, self.a, self.pos);
        // Try the smallest shift for which the rounded-up reciprocal is exact for all dividends.
        for s in 0..=l {
            let m = ((1u128 << (32 + s)) / u128::from(d) + 1) as u64;
            let excess = u128::from(m) * u128::from(d) - (1u128 << (32 + s));
            if excess <= 1 << s && m < 1 << 32 {
                let p = bin_const(f, Op::Mul, Type::I64, wide, m as i64, self.pos);
                let q = bin_const(f, Op::ShrU, Type::I64, p, i64::from(32 + s), self.pos);
                return un(f, Op::Wrap, Type::I32, q, self.pos);
            }
        }
        let m = ((1u128 << (32 + l)) / u128::from(d) + 1) << (32 - l);
        let q = bin_const(f, Op::MulHiU, Type::I64, wide, m as u64 as i64, self.pos);
        un(f, Op::Wrap, Type::I32, q, self.pos)
    }

    /// For dividends whose topmost `clear` bits are zero.
    fn unsigned64(&self, f: &mut Func, d: u64, clear: u32) -> Value {
        let l = 64 - (d - 1).leading_zeros();
        for s in 0..l {
            let m = (1u128 << (64 + s)) / u128::from(d) + 1;
            let excess = m * u128::from(d) - (1u128 << (64 + s));
            if excess <= 1 << (s + clear) && m < 1 << 64 {
                let p = self.con(f, Op::MulHiU, self.a, m as u64 as i64);
                return self.con(f, Op::ShrU, p, i64::from(s));
            }
        }
        // An even divisor: halve the dividend first, which leaves a bit of room.
        let even = d.trailing_zeros();
        if even > 0 {
            let half = self.con(f, Op::ShrU, self.a, i64::from(even));
            let rest = Divide { a: half, ..*self };
            return rest.unsigned64(f, d >> even, even);
        }
        // 65 bits: p = high(a × (m - 2^64)); q = (((a - p) >> 1) + p) >> (l - 1).
        // m - 2^64 = floor(2^64 × (2^l - d) / d) + 1.
        let m = (u128::from((1u128 << l) as u64).wrapping_sub(u128::from(d)) & u128::from(u64::MAX)) << 64;
        let m = (m / u128::from(d) + 1) as u64;
        let p = self.con(f, Op::MulHiU, self.a, m as i64);
        let diff = self.bin(f, Op::Sub, self.a, p);
        let half = self.con(f, Op::ShrU, diff, 1);
        let sum = self.bin(f, Op::Add, half, p);
        self.con(f, Op::ShrU, sum, i64::from(l - 1))
    }

    /// What is added to negative dividends before a shift by `k`.
    fn bias(&self, f: &mut Func, k: u32) -> Value {
        let w = width(self.ty);
        let sign = self.con(f, Op::ShrS, self.a, i64::from(w - 1));
        self.con(f, Op::ShrU, sign, i64::from(w - k))
    }

    fn signed(&self, f: &mut Func, c: i64) -> Value {
        let w = width(self.ty);
        let d = c.unsigned_abs() & mask(self.ty);
        if d == 1 {
            return self.a;
        }
        if d == 1 << (w - 1) {
            let is_min = icmp_const(f, IntCc::Eq, self.a, c, self.pos);
            return if self.ty == Type::I64 { un(f, Op::ExtU, Type::I64, is_min, self.pos) } else { is_min };
        }
        let q = if d.is_power_of_two() {
            let k = d.trailing_zeros();
            let bias = self.bias(f, k);
            let sum = self.bin(f, Op::Add, self.a, bias);
            self.con(f, Op::ShrS, sum, i64::from(k))
        } else if self.ty == Type::I32 {
            self.signed32(f, d)
        } else {
            self.signed64(f, d)
        };
        if c > 0 {
            return q;
        }
        let zero = f.iconst(self.ty, 0);
        self.bin(f, Op::Sub, zero, q)
    }

    fn signed_rest(&self, f: &mut Func, c: i64) -> Value {
        let w = width(self.ty);
        // The sign of the divisor does not matter.
        let d = c.unsigned_abs() & mask(self.ty);
        if d.is_power_of_two() && d < 1 << (w - 1) {
            let bias = self.bias(f, d.trailing_zeros());
            let sum = self.bin(f, Op::Add, self.a, bias);
            let down = self.con(f, Op::And, sum, -(d as i64));
            return self.bin(f, Op::Sub, self.a, down);
        }
        let q = self.signed(f, c);
        self.rest(f, q, c)
    }

    /// The reciprocal of a divisor for `w`-bit dividends: multiplier and shift behind the upper half.
    fn reciprocal(d: u64, w: u32) -> (u128, u32) {
        let mut s = 0;
        loop {
            let m = (1u128 << (w + s)) / u128::from(d) + 1;
            let excess = m * u128::from(d) - (1u128 << (w + s));
            // Exact for all |a| <= 2^(w - 1).
            if excess <= 1 << (s + 1) {
                return (m, s);
            }
            s += 1;
        }
    }

    /// The quotient rounded down, plus 1 for negative dividends.
    fn up(&self, f: &mut Func, floor: Value) -> Value {
        let sign = self.con(f, Op::ShrU, self.a, i64::from(width(self.ty) - 1));
        self.bin(f, Op::Add, floor, sign)
    }

    fn signed32(&self, f: &mut Func, d: u64) -> Value {
        let (m, s) = Self::reciprocal(d, 32);
        let wide = un(f, Op::ExtS, Type::I64, self.a, self.pos);
        let p = bin_const(f, Op::Mul, Type::I64, wide, m as i64, self.pos);
        let q = bin_const(f, Op::ShrS, Type::I64, p, i64::from(32 + s), self.pos);
        let floor = un(f, Op::Wrap, Type::I32, q, self.pos);
        self.up(f, floor)
    }

    fn signed64(&self, f: &mut Func, d: u64) -> Value {
        let (m, s) = Self::reciprocal(d, 64);
        let mut p = self.con(f, Op::MulHiS, self.a, m as u64 as i64);
        if m >= 1 << 63 {
            // The multiplier was taken as negative: 2^64 too small.
            p = self.bin(f, Op::Add, p, self.a);
        }
        let floor = self.con(f, Op::ShrS, p, i64::from(s));
        self.up(f, floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of an expression of `arg` when that is `x`: all folds, once the argument is a constant.
    fn eval(f: &mut Func, v: Value, arg: Value, x: i64) -> i64 {
        if v == arg {
            return x;
        }
        let mut inst = *f.inst(v);
        for n in 0..f.args(v).len() {
            let a = f.args(v)[n];
            let ty = f.ty(a);
            let folded = eval(f, a, arg, x);
            inst.args[n] = f.iconst(ty, folded);
        }
        let v = pure(f, inst);
        f.as_iconst(v).expect("an operation on constants is a constant")
    }

    fn samples(ty: Type) -> Vec<i64> {
        let mut all: Vec<i64> = (-20..=20).collect();
        for shift in 0..64 {
            let p = 1i64 << shift;
            all.extend([p, p.wrapping_sub(1), p.wrapping_add(1), p.wrapping_neg(), p.wrapping_neg().wrapping_sub(1)]);
        }
        let mut x = 0x1234_5678_9abc_def1u64;
        for _ in 0..60 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            all.push((x >> (x & 63)) as i64);
        }
        all.into_iter().map(|v| if ty == Type::I32 { i64::from(v as i32) } else { v }).collect()
    }

    fn direct(op: Op, ty: Type, a: i64, b: i64) -> i64 {
        let (u, v) = (a as u64 & mask(ty), b as u64 & mask(ty));
        let r = match op {
            Op::DivS => a.wrapping_div(b),
            Op::RemS => a.wrapping_rem(b),
            Op::DivU => (u / v) as i64,
            _ => (u % v) as i64,
        };
        if ty == Type::I32 { i64::from(r as i32) } else { r }
    }

    #[test]
    fn quotients_and_remainders_are_those_of_a_division() {
        for ty in [Type::I32, Type::I64] {
            let samples = samples(ty);
            for op in [Op::DivS, Op::DivU, Op::RemS, Op::RemU] {
                for &c in samples.iter().filter(|&&c| c != 0) {
                    let mut f = Func::new();
                    let arg = f.push(Func::ENTRY, Inst::new(Op::Arg, ty));
                    let Some(v) = divide(&mut f, op, ty, arg, c, 0) else {
                        assert!(op == Op::DivS && c == -1);
                        continue;
                    };
                    for &x in &samples {
                        assert_eq!(eval(&mut f, v, arg, x), direct(op, ty, x, c), "{op:?} {ty:?} {x} by {c}");
                    }
                }
            }
        }
    }
}
