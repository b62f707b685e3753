//! Who executes a module makes no difference.
//!
//! In: bytes that choose a module. Property: the interpreter and three other configurations, chosen by the bytes, do the same: results,
//! traps and their places, memories, tables, globals, calls of the host.

use crate::behaviour;
use crate::modules;
use crate::support::{self, Mode, Rng};
use std::cell::RefCell;
use std::time::Duration;

/// How long a module may wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(2);
/// Engines keep the types of all their modules, and so are made anew now and then.
const RUNS: u32 = 2000;

struct Modes {
    runs: u32,
    modes: Vec<Mode>,
}

thread_local! {
    static MODES: RefCell<Modes> = const { RefCell::new(Modes { runs: 0, modes: Vec::new() }) };
}

/// Runs a module in several configurations.
pub fn differential(data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<4>() else { return };
    let seed = u64::from(u32::from_le_bytes(*seed));
    let mut rng = Rng::new(seed);
    let everything = rng.chance(60);
    let config = behaviour::config(&mut rng, everything);
    let Some(bytes) = behaviour::module_of(config, rest) else { return };
    modules::dump(&bytes);
    MODES.with_borrow_mut(|m| {
        if m.runs % RUNS == 0 {
            m.modes = support::modes(|_| ());
            m.modes.extend(support::stressed());
        }
        m.runs += 1;
        compare(&m.modes, &bytes, seed, &mut rng);
    });
}

fn compare(modes: &[Mode], bytes: &[u8], seed: u64, rng: &mut Rng) {
    let Some(first) = behaviour::run(&modes[0], bytes, seed, PATIENCE) else { return };
    for _ in 0..3 {
        let chosen = rng.below(modes.len());
        // In the place of the first, which the others are compared with.
        let random = (chosen == 0).then(|| support::random_mode(rng.next()));
        let mode = random.as_ref().unwrap_or(&modes[chosen]);
        let other = behaviour::run(mode, bytes, seed, PATIENCE);
        mode.assert_compiler_is_well("a module");
        let Some(other) = other else { continue };
        for (a, b) in first.iter().zip(&other) {
            assert_eq!(a, b, "{} differs from {}: {first:?}", mode.name, modes[0].name);
        }
        assert_eq!(first.len(), other.len(), "{}", mode.name);
    }
}
