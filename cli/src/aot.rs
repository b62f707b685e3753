//! `vm aot`: compiles a module ahead of time.
//!
//! Out: an entry of the cache or an artifact, a progress bar while that takes time and somebody looks, and a summary.

use crate::args::AotArgs;
use crate::exit::Exit;
use crate::watchdog::Watchdog;
use crate::{fill, module, output, settings};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write;
use std::time::{Duration, Instant};
use vm::{Ahead, Compilation, CompileStats, Config, Engine};

/// How many of the slowest functions are listed with --timings.
const SLOWEST: usize = 10;
/// And how many without, if they took at least so long.
const SHOWN: usize = 3;
const SLOW: Duration = Duration::from_millis(10);

pub(crate) fn run(args: &AotArgs) -> Result<(), Exit> {
    let began = Instant::now();
    let mut config = Config::new();
    config
        .cache(settings::cache(&args.cache))
        .processor(args.target_cpu)
        .optimisation(args.optimise)
        .fuel(args.fuel)
        .deterministic(args.deterministic)
        .interruption(args.interruptible)
        .memory_mode(settings::memory_mode(args.memory))
        .compile_log(!args.quiet);
    settings::compiler(&mut config, &args.compiler)?;
    if let Some(n) = args.threads {
        config.compile_threads(usize::try_from(n).unwrap_or(usize::MAX));
    }
    let _watchdog = Watchdog::start(args.timeout, &args.file.to_string_lossy());
    if args.noted {
        fill::step_back(args.max_memory);
        // The next program to run may want all processors but one.
        config.compile_threads(1);
    }
    let engine = Engine::new(&config).map_err(|e| Exit::failure(e.to_string()))?;
    let module = module::load(&engine, &args.file)?;
    if args.noted {
        return match module.compile_noted() {
            Ok(_) => Ok(()),
            Err(e) => Err(Exit::failure(format!("{}: {e}", args.file.display()))),
        };
    }
    let bar = bar(module.function_count().into(), args.quiet);
    let outcome = module.compile_ahead(args.output.as_deref(), &|p| {
        // The bar draws a few times a second; telling it more often costs time.
        if p.done.is_multiple_of(64) {
            bar.set_length(p.total as u64);
            bar.set_position(p.done as u64);
        }
    });
    bar.finish_and_clear();
    let ahead = outcome.map_err(|e| Exit::failure(format!("{}: {e}", args.file.display())))?;
    if args.quiet {
        return Ok(());
    }
    let stats = engine.compile_stats();
    let mut text = summary(args, &ahead, began.elapsed());
    if args.timings {
        timings(&mut text, &stats);
    } else {
        slowest(&mut text, &stats);
    }
    if args.output.as_deref().is_some_and(output::is_standard) { output::tell(&text) } else { output::print(&text) }
}

/// A progress bar on standard error, if that is a terminal.
fn bar(total: u64, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} functions, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn summary(args: &AotArgs, a: &Ahead, took: Duration) -> String {
    let file = args.file.display();
    let place = match &args.output {
        Some(out) => out.display().to_string(),
        None => "the cache".into(),
    };
    if a.found {
        return format!("{file}: all {} functions are in {place} already\n", a.functions);
    }
    let mut text = format!(
        "{file}: {} of {} functions to {place} in {:.2} s\n{} bytes of WebAssembly, {} bytes of machine code, a file of {} bytes\n",
        a.compiled,
        a.functions,
        took.as_secs_f64(),
        a.wasm_bytes,
        a.code_bytes,
        a.file_bytes
    );
    for (why, n) in &a.refused {
        let _ = writeln!(text, "{n} stay in the interpreter: {why}"); // writing to a String does not fail
    }
    text
}

/// The few functions that took longest, if they took long.
fn slowest(text: &mut String, stats: &CompileStats) {
    let mut slow: Vec<_> = stats.log.iter().filter(|c| c.took >= SLOW).collect();
    slow.sort_by_key(|c| std::cmp::Reverse(c.took));
    let name = |c: &Compilation| c.func_name.clone().unwrap_or_else(|| c.func_index.to_string());
    let list: Vec<String> =
        slow.iter().take(SHOWN).map(|c| format!("{} ({:.0} ms)", name(c), c.took.as_secs_f64() * 1e3)).collect();
    if !list.is_empty() {
        let _ = writeln!(text, "slowest: {} (more with --timings)", list.join(", "));
    }
}

fn timings(text: &mut String, stats: &CompileStats) {
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    let mut phases: Vec<_> = stats.phases.iter().collect();
    phases.sort_by_key(|p| std::cmp::Reverse(p.1));
    let _ = writeln!(text, "\nphase                wall ms");
    for (name, time) in phases {
        let _ = writeln!(text, "{name:<16} {:>11.1}", ms(*time));
    }
    let mut slow: Vec<_> = stats.log.iter().collect();
    slow.sort_by_key(|c| std::cmp::Reverse(c.took));
    let _ = writeln!(text, "\nslowest functions         ms       wasm       code");
    for c in slow.iter().take(SLOWEST) {
        let name = c.func_name.clone().unwrap_or_else(|| c.func_index.to_string());
        let code = c.outcome.as_ref().map_or(0, |n| *n);
        let _ = writeln!(text, "{name:<20} {:>7.1} {:>10} {code:>10}", ms(c.took), c.wasm_bytes);
    }
}
