//! `jit-PID.dump`: code with names and lines, in the format of `perf inject --jit` (tools/perf/Documentation/jitdump-specification.txt
//! of the Linux sources). A "line" is an offset in the WebAssembly module.

use super::{Published, own_file};
use crate::sys::perf;
use std::io::Write;
use std::sync::Mutex;

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER: u32 = 40;
/// ELF's number for the processor.
const MACHINE: u32 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const CODE_LOAD: u32 = 0;
const DEBUG_INFO: u32 = 2;

pub(super) struct JitDump(Mutex<Dump>);

struct Dump {
    file: std::fs::File,
    /// Keeps the mapping by which `perf` finds the file.
    _announced: perf::Announced,
    count: u64,
}

impl JitDump {
    pub(super) fn create() -> std::io::Result<JitDump> {
        let path = format!("jit-{}.dump", std::process::id());
        let mut file = own_file(&path)?;
        let mut header = Vec::new();
        for word in [MAGIC, VERSION, HEADER, MACHINE, 0, std::process::id()] {
            header.extend(word.to_ne_bytes());
        }
        header.extend(perf::monotonic_ns().to_ne_bytes());
        header.extend(0u64.to_ne_bytes());
        file.write_all(&header)?;
        let announced = perf::announce(&file)?;
        Ok(JitDump(Mutex::new(Dump { file, _announced: announced, count: 0 })))
    }

    pub(super) fn add(&self, p: &Published<'_>) {
        let mut dump = self.0.lock().unwrap_or_else(|e| e.into_inner());
        dump.count += 1;
        let mut bytes = debug_info(p);
        bytes.extend(code_load(p, dump.count));
        let _ = dump.file.write_all(&bytes);
    }
}

/// A record: its id, size and time before its body.
fn record(id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend(id.to_ne_bytes());
    bytes.extend((16 + body.len() as u32).to_ne_bytes());
    bytes.extend(perf::monotonic_ns().to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn debug_info(p: &Published<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((p.address as u64).to_ne_bytes());
    body.extend((p.lines.len() as u64).to_ne_bytes());
    for &(at, offset) in p.lines {
        body.extend((p.address as u64 + u64::from(at)).to_ne_bytes());
        body.extend(offset.to_ne_bytes());
        body.extend(0u32.to_ne_bytes());
        body.extend(b"module.wasm\0");
    }
    record(DEBUG_INFO, &body)
}

fn code_load(p: &Published<'_>, index: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [std::process::id(), perf::thread_id()] {
        body.extend(word.to_ne_bytes());
    }
    for word in [p.address as u64, p.address as u64, p.code.len() as u64, index] {
        body.extend(word.to_ne_bytes());
    }
    body.extend(p.name.bytes().filter(|&b| b != 0));
    body.push(0);
    body.extend(p.code);
    record(CODE_LOAD, &body)
}
