//! `vm wast`: runs conformance scripts, and counts their assertions.

use crate::args::WastArgs;
use crate::exit::{self, Exit};
use crate::{output, settings};
use spectest::{Config, Report};

/// Runs every script, prints each failure as it comes, and the totals last.
pub(crate) fn run(args: &WastArgs) -> Result<(), Exit> {
    let config = Config {
        tier: settings::tier(args.execution.tier),
        tier_threshold: settings::threshold(&args.execution),
        compile_threads: args.execution.compile_threads,
        memory_mode: settings::memory_mode(args.execution.memory),
        fuel: args.fuel,
        deterministic: args.execution.deterministic,
        gc_stress: args.execution.gc_stress.unwrap_or(0),
        timeout: args.timeout,
        jit_filter: args.compiler.jit_filter.clone(),
        jit_passes: args.compiler.jit_passes.clone().unwrap_or_default(),
        print: true,
        ..Config::default()
    };
    let mut total = Report::default();
    let mut unreadable = false;
    for file in &args.files {
        match spectest::run_file(file, &config) {
            Ok(report) => {
                for failure in &report.failed {
                    output::print(&format!("{failure}\n"))?;
                }
                total.merge(report);
            }
            Err(e) => {
                unreadable = true;
                output::complain(&format!("cannot read {}: {e}", file.display()));
            }
        }
    }
    output::print(&format!("{} passed, {} failed\n", total.passed, total.failed.len()))?;
    if total.failed.is_empty() && !unreadable { Ok(()) } else { Err(Exit::silent(exit::FAILURE)) }
}
