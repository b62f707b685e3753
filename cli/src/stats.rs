//! `vm run --stats`: what the compiler did, as text.

use std::fmt::Write;
use std::time::Duration;
use vm::{Compilation, CompileStats, Module};

/// Totals, what came from where, then a line per compilation in the order in which they began.
pub(crate) fn text(stats: &CompileStats, module: &Module, saved: &vm::Result<bool>) -> String {
    let mut text = totals(stats);
    let _ = match module.precompiled() {
        Some((functions @ 1.., bytes)) => {
            write!(text, "\n  {functions} functions were compiled before: {bytes} bytes of machine code")
        }
        _ => Ok(()),
    };
    let _ = match saved {
        Ok(true) => write!(text, "\n  kept for the next run"),
        Ok(false) => Ok(()),
        Err(e) => write!(text, "\n  not kept for the next run: {e}"),
    };
    log(&mut text, stats);
    text
}

/// What was compiled, altogether.
fn totals(stats: &CompileStats) -> String {
    let mut text = format!(
        "compiled {} functions and {} loops: {} bytes of WebAssembly to {} bytes of machine code in {}",
        stats.functions,
        stats.loops,
        stats.wasm_bytes,
        stats.code_bytes,
        time(stats.time)
    );
    // Writing to a String does not fail.
    if !stats.phases.is_empty() {
        let mut phases: Vec<_> = stats.phases.iter().collect();
        phases.sort_by_key(|p| std::cmp::Reverse(p.1));
        let list: Vec<String> = phases.iter().map(|(name, t)| format!("{name} {}", time(**t))).collect();
        let _ = write!(text, "\n  {}", list.join(", "));
    }
    for (why, n) in &stats.refused {
        let _ = write!(text, "\n  {n} not compiled: {why}");
    }
    text
}

/// Single compilations.
pub(crate) fn log(text: &mut String, stats: &CompileStats) {
    if !stats.log.is_empty() {
        let _ = write!(text, "\n{:>12} {:>12} {:>8} {:>8}  function", "began", "took", "wasm", "code");
    }
    let mut log: Vec<&Compilation> = stats.log.iter().collect();
    log.sort_by_key(|c| c.began);
    for c in log {
        let _ = write!(text, "\n{}", line(c));
    }
}

fn line(c: &Compilation) -> String {
    let code = c.outcome.as_ref().map_or("-".into(), ToString::to_string);
    let mut text =
        format!("{:>12} {:>12} {:>8} {:>8}  {}", time(c.began), time(c.took), c.wasm_bytes, code, c.func_index);
    if let Some(name) = &c.func_name {
        let _ = write!(text, " {name}");
    }
    if let Some(offset) = c.loop_offset {
        let _ = write!(text, ", loop at {offset:#x}");
    }
    if let Err(why) = &c.outcome {
        let _ = write!(text, ": {why}");
    }
    text
}

fn time(t: Duration) -> String {
    format!("{:.3} ms", t.as_secs_f64() * 1e3)
}
