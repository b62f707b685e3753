//! Garbage-collected objects: structs and arrays.
//!
//! A reference is one slot: 0 is null; a word with the lowest bit set is an i31 (the other bits of its lower half are the
//! value); a word with the two lowest bits `10` is a host value (its number in the store is in the others); everything else is
//! the address of an object. References to host values look the same whether their type is `extern` or has been converted
//! to `any`, and so do objects, which is why the conversions do nothing.
//!
//! ```text
//!   struct   | type | fields …                array   | type | length | – | elements …
//!            0      8                                 0      8        12  16
//! ```
//!
//! `types` has what is known of a type of objects, `heap` the memory, `collect` finds out what is alive, `object` reads and
//! writes, `array` has the operations on many elements, `cast` the tests of types, `roots` the references that the host
//! holds. A store has a heap from its first allocation on.

pub(crate) mod array;
pub(crate) mod cast;
pub(crate) mod collect;
pub(crate) mod heap;
pub(crate) mod object;
pub(crate) mod roots;
pub(crate) mod types;

/// The tag of i31 references.
pub(crate) const I31: u64 = 1;
/// The lowest two bits of references to host values.
pub(crate) const HOST: u64 = 2;
/// What of a word tells the kinds of references apart.
pub(crate) const TAGS: u64 = 3;

/// The reference to an i31.
#[inline(always)]
pub(crate) fn i31(v: u32) -> u64 {
    u64::from(v << 1) | I31
}

/// The reference to the host value of that number.
pub(crate) fn host(index: u32) -> u64 {
    u64::from(index) << 2 | HOST
}

/// The number of the host value that is referred to, if it is one.
pub(crate) fn host_index(word: u64) -> Option<u32> {
    (word & TAGS == HOST).then_some((word >> 2) as u32)
}

/// Whether a word is a reference to an object, given that it is a reference of the `any` or `extern` hierarchy.
#[inline(always)]
pub(crate) fn is_object(word: u64) -> bool {
    word != 0 && word & TAGS == 0
}
