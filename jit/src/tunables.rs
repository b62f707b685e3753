//! Limits of the compiler that change how good code is and what compiling costs, never what code does.
//!
//! In: nothing; one row for each below. Out: their values for a compilation. Invariant: any value between 0 and the greatest given
//! here is a valid one, so fuzzers choose any.

use crate::passes::Switches;
use serde::{Deserialize, Serialize};

macro_rules! tunables {
    ($($(#[$doc:meta])* $name:ident = $default:literal, at most $most:literal;)*) => {
        /// The limits.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
        pub struct Tunables {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Default for Tunables {
            fn default() -> Self {
                Tunables { $($name: $default,)* }
            }
        }

        impl Tunables {
            /// Each at random: `below` returns a number below the one it is given.
            pub fn random(below: &mut dyn FnMut(u32) -> u32) -> Tunables {
                Tunables { $($name: below($most + 1),)* }
            }
        }
    };
}

tunables! {
    /// Longest body inlined in loops, in bytes.
    inline_body = 64, at most 200;
    /// The same for bodies without branches and calls, which is what arithmetic on wide numbers looks like.
    inline_straight = 128, at most 200;
    /// The same elsewhere.
    inline_outside_loops = 32, at most 200;
    /// Up to this size a body counts half, as what it becomes is hardly more than the call was.
    inline_tiny = 16, at most 40;
    /// Most calls in a body that is inlined.
    inline_calls = 2, at most 8;
    /// Most locals of it.
    inline_locals = 16, at most 40;
    /// Depth of inlining.
    inline_depth = 4, at most 6;
    /// How often the same function is on the way, the one that is compiled included.
    inline_recursion = 2, at most 3;
    /// Bytes of bodies that a function takes in.
    inline_room = 96, at most 400;
    /// How many structures around a call are looked at to find a loop.
    inline_near = 64, at most 64;
    /// Most operators of a loop's test that is repeated at its bottom.
    rotate_header = 14, at most 60;
    /// Most selects instead of one branch.
    if_convert_selections = 2, at most 6;
    /// Instructions of all copies of a loop together.
    unroll_size = 48, at most 160;
    /// Most instructions of a loop that is unrolled.
    unroll_body = 16, at most 60;
    /// Values looked at for one loop.
    unroll_look = 256, at most 600;
    /// Most copies of a loop, itself included.
    unroll_copies = 4, at most 9;
    /// Iterations of a loop that need no poll.
    polls_soon = 4096, at most 10000;
    /// Most arms of a switch in which a value is computed apart.
    schedule_arms = 64, at most 64;
    /// Instructions and moves of a copy of blocks that end in a switch.
    tail_dup_size = 24, at most 80;
    /// Slots of a frame that are zeroed without a loop, in bytes.
    clear_unrolled = 128, at most 256;
}

/// Passes and limits that a number chooses: the same for the same number, mostly on, or half of them, or all with other limits.
pub fn random(seed: u64) -> (Switches, Tunables) {
    let mut state = seed;
    let mut next = || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    let (a, b, kind) = (next() as u32, next() as u32, next() % 4);
    let switches = Switches::of_bits(match kind {
        0 => u32::MAX,
        1 => a,
        _ => a | b,
    });
    let usual = kind > 1 && next() % 2 == 0;
    let limits = Tunables::random(&mut |n| (next() % u64::from(n)) as u32);
    (switches, if usual { Tunables::default() } else { limits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::TABLE;

    #[test]
    fn numbers_choose_everything_there_is_to_choose() {
        let all: Vec<_> = (0..100).map(random).collect();
        for row in TABLE {
            assert!(
                all.iter().any(|(s, _)| s.has(row.pass)) && all.iter().any(|(s, _)| !s.has(row.pass)),
                "{}",
                row.name
            );
        }
        let usual = Tunables::default();
        assert!(all.iter().any(|(_, t)| *t == usual) && all.iter().any(|(_, t)| t.unroll_size > usual.unroll_size));
        assert!(all.iter().any(|(_, t)| t.unroll_size < 20 && t.inline_room != usual.inline_room));
        assert_eq!(random(7), random(7));
    }
}
