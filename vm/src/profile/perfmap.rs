//! `/tmp/perf-PID.map`: a line per function with address, size and name.

use super::{Published, own_file};
use std::fs::File;
use std::io::Write;

pub(super) struct PerfMap(File);

impl PerfMap {
    pub(super) fn create() -> std::io::Result<PerfMap> {
        own_file(&format!("/tmp/perf-{}.map", std::process::id())).map(PerfMap)
    }

    pub(super) fn add(&self, p: &Published<'_>) {
        // One write per line: several threads may add.
        let line = format!("{:x} {:x} {}\n", p.address, p.code.len(), p.name.replace('\n', " "));
        let _ = (&self.0).write_all(line.as_bytes());
    }
}
