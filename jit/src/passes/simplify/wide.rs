//! Products of 64 by 64 bits that a module makes out of 32-bit halves.
//!
//! In: an addition or bitwise or of 64 bits. Out: the high or the low half of a product in its place. WebAssembly has had no such
//! instruction for long, so compilers call a function (`__multi3`) that does what is done on paper (Knuth, The Art of Computer
//! Programming, volume 2, 4.3.1, algorithm M, with digits of 32 bits), and so do hash functions and big integers. For
//! `x = xh · 2³² + xl`, `y = yh · 2³² + yl`:
//!
//! ```text
//! t = xh · yl + (xl · yl >> 32)            no sum here overflows
//! u = xl · yh + (t mod 2³²)
//! high = xh · yh + (t >> 32) + (u >> 32)
//! low = (u << 32) | (xl · yl mod 2³²)
//! ```
//!
//! Precondition, with tests in `vm/tests/arithmetic.rs` in which it does not hold:
//! - Every half, shift and mask is by 32 bits, of the same two factors, and all partial products are there; the
//!   slip of any one of them leaves the sum alone.

use super::*;
use smallvec::SmallVec;

/// How many terms of a sum are looked at.
const TERMS: usize = 8;

/// A factor of which the halves have been found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Factor {
    Value(Value),
    Const { low: u32, high: u32 },
}

/// What has been found behind a `u`.
struct Product {
    x: Value,
    y: Factor,
    t: Value,
}

/// `x` of `x >> 32`.
fn high_of(f: &Func, v: Value) -> Option<Value> {
    op_const(f, v, Op::ShrU).filter(|p| p.1 == 32).map(|p| p.0)
}

/// `x` of `x mod 2³²`.
fn low_of(f: &Func, v: Value) -> Option<Value> {
    let [narrow, ..] = is_op(f, v, Op::ExtU)?;
    let [wide, ..] = is_op(f, narrow, Op::Wrap)?;
    (f.ty(wide) == Type::I64).then_some(wide)
}

/// A constant that fits a half.
fn half_const(f: &Func, v: Value) -> Option<u32> {
    u32::try_from(f.as_iconst(v)?).ok()
}

/// The other argument of a commutative operation one of whose arguments satisfies the condition.
fn beside<T>(args: [Value; 3], mut is: impl FnMut(Value) -> Option<T>) -> Option<(T, Value)> {
    is(args[0]).map(|t| (t, args[1])).or_else(|| is(args[1]).map(|t| (t, args[0])))
}

/// The constant `c` if a product is one of `c` and a value that satisfies the condition.
fn times_const(f: &Func, product: Value, is: impl Fn(Value) -> bool) -> Option<u32> {
    let [a, b, _] = is_op(f, product, Op::Mul)?;
    if is(a) { half_const(f, b) } else { None }
}

/// Whether a product is one of values that satisfy the conditions.
fn is_product(f: &Func, v: Value, p: impl Fn(Value) -> bool, q: impl Fn(Value) -> bool) -> bool {
    is_op(f, v, Op::Mul).is_some_and(|[a, b, _]| p(a) && q(b) || p(b) && q(a))
}

/// What `u` is made of.
fn product(f: &Func, u: Value) -> Option<Product> {
    let (t, second) = beside(is_op(f, u, Op::Add)?, |v| low_of(f, v))?;
    let (lows, first) = beside(is_op(f, t, Op::Add)?, |v| high_of(f, v))?;
    let [l1, l2, _] = is_op(f, lows, Op::Mul)?;
    let x = low_of(f, l1)?;
    let high = |of: Value| move |v: Value| high_of(f, v) == Some(of);
    let Some(y) = low_of(f, l2) else {
        let low = half_const(f, l2)?;
        let half = |p: Value, q: Value| {
            let whole = times_const(f, p, high(x))? == low;
            times_const(f, q, |v| v == l1).filter(|_| whole)
        };
        let high = half(first, second).or_else(|| half(second, first))?;
        return Some(Product { x, y: Factor::Const { low, high }, t });
    };
    let crossed = |p: Value, q: Value| is_product(f, p, high(x), |v| v == l2) && is_product(f, q, high(y), |v| v == l1);
    let found = crossed(first, second) || crossed(second, first);
    found.then_some(Product { x, y: Factor::Value(y), t })
}

impl Product {
    /// Whether a value is the product of the high halves.
    fn is_high(&self, f: &Func, v: Value) -> bool {
        let high = |of: Value| move |v: Value| high_of(f, v) == Some(of);
        match self.y {
            Factor::Value(y) => is_product(f, v, high(self.x), high(y)),
            Factor::Const { high: c, .. } => times_const(f, v, high(self.x)) == Some(c),
        }
    }

    /// Whether a value is the low half of the product of the low halves, which is that of the whole product as well.
    fn is_low(&self, f: &Func, v: Value) -> bool {
        let Some([narrow, ..]) = is_op(f, v, Op::ExtU) else { return false };
        // The factors are taken for narrow ones; the product may still be wide.
        let product = is_op(f, narrow, Op::Wrap).map_or(narrow, |a| a[0]);
        let low = |of: Value| move |v: Value| v == of || is_op(f, v, Op::Wrap).is_some_and(|a| a[0] == of);
        match self.y {
            Factor::Value(y) => is_product(f, product, low(self.x), low(y)),
            Factor::Const { low: c, .. } => {
                is_product(f, product, low(self.x), |v| f.as_iconst(v).is_some_and(|k| k as u32 == c))
            }
        }
    }

    /// One of the halves.
    fn make(&self, f: &mut Func, op: Op, pos: u32) -> Value {
        let y = match self.y {
            Factor::Value(y) => y,
            Factor::Const { low, high } => f.iconst(Type::I64, (u64::from(high) << 32 | u64::from(low)) as i64),
        };
        bin(f, op, Type::I64, self.x, y, pos)
    }
}

/// The terms of a sum, as far as they are looked at.
fn terms(f: &Func, i: &Inst) -> SmallVec<[Value; TERMS]> {
    let mut terms: SmallVec<[Value; TERMS]> = SmallVec::from_slice(&i.args[..2]);
    let mut at = 0;
    while at < terms.len() {
        match is_op(f, terms[at], Op::Add) {
            Some([a, b, _]) if terms.len() < TERMS => {
                terms[at] = a;
                terms.push(b);
            }
            _ => at += 1,
        }
    }
    terms
}

/// A sum that has the high half of a product in it.
pub(super) fn high(f: &mut Func, i: &Inst) -> Option<Value> {
    // The last term to be added is one of the three.
    let is_part = |v: Value| high_of(f, v).is_some_and(|x| f.inst(x).op == Op::Add) || f.inst(v).op == Op::Mul;
    if i.ty != Type::I64 || !(is_part(i.args[0]) || is_part(i.args[1])) {
        return None;
    }
    let mut terms = terms(f, i);
    if terms.len() < 3 {
        return None;
    }
    let found = terms.iter().find_map(|&v| {
        let product = product(f, high_of(f, v)?)?;
        let carry = terms.iter().copied().find(|&c| high_of(f, c) == Some(product.t))?;
        let high = terms.iter().copied().find(|&h| product.is_high(f, h))?;
        Some((product, [v, carry, high]))
    });
    let (product, parts) = found?;
    for part in parts {
        let at = terms.iter().position(|&v| v == part)?;
        terms.remove(at);
    }
    let high = product.make(f, Op::MulHiU, i.pos);
    Some(terms.into_iter().fold(high, |sum, v| bin(f, Op::Add, Type::I64, sum, v, i.pos)))
}

/// The low half of a product, put together of its own two halves.
pub(super) fn low(f: &mut Func, i: &Inst) -> Option<Value> {
    if i.ty != Type::I64 {
        return None;
    }
    let shifted = |v: Value| op_const(f, v, Op::Shl).filter(|p| p.1 == 32).map(|p| p.0);
    let (u, rest) = beside(i.args, shifted)?;
    f.inst(rest).op.eq(&Op::ExtU).then_some(())?;
    let product = product(f, u)?;
    product.is_low(f, rest).then(|| product.make(f, Op::Mul, i.pos))
}
