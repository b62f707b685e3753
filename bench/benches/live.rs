//! Instances that live at the same time: what each of them costs beside the pages it has touched.
//!
//! In: the number of instances (10,000 unless the first argument is another). Out: a table with resident memory, page
//! tables and mappings per instance, each in a store of its own, after it has been called once.

mod common;

use std::hint::black_box;
use vm::{Caller, Config, Engine, Linker, Module, Store, Tier};

/// What the kernel says about this process.
#[derive(Clone, Copy)]
struct Footprint {
    /// Resident memory that is not shared, in bytes.
    resident: u64,
    /// Page tables in bytes.
    tables: u64,
    mappings: u64,
}

impl Footprint {
    fn now() -> Footprint {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
        };
        let mappings = std::fs::read_to_string("/proc/self/maps").map_or(0, |m| m.lines().count() as u64);
        Footprint { resident: field("RssAnon:"), tables: field("VmPTE:"), mappings }
    }
}

/// Bytes that the guest itself has touched: whole pages of memory.
fn live(name: &str, tier: Tier, text: &str, touched: u64, count: u64) {
    let mut config = Config::new();
    config.tier(tier);
    let engine = Engine::new(&config).expect("the settings can be met");
    let module = Module::new(&engine, text).expect("a valid module");
    let mut linker = Linker::<u64>::new(&engine);
    let log = |mut caller: Caller<'_, u64>, n: i32| *caller.data_mut() += u64::from(n.unsigned_abs());
    linker.func_wrap("host", "log", log).expect("the name is free");
    let pre = linker.instantiate_pre(&module).expect("its import is defined");
    let make = || {
        let mut store = Store::new(&engine, 0);
        let instance = pre.instantiate(&mut store).expect("it can be instantiated");
        let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("it is exported");
        black_box(run.call(&mut store, ()).expect("it does not trap"));
        (store, run)
    };
    drop(make());
    let before = Footprint::now();
    let mut stores: Vec<_> = (0..count).map(|_| make()).collect();
    let after = Footprint::now();
    for (store, run) in &mut stores {
        black_box(run.call(store, ()).expect("it does not trap"));
    }
    let per = |f: fn(&Footprint) -> u64| (f(&after) as f64 - f(&before) as f64) / count as f64;
    let (resident, tables, mappings) = (per(|f| f.resident), per(|f| f.tables), per(|f| f.mappings));
    let own = resident + tables - touched as f64;
    println!(
        "{name:22} {own:8.0} bytes each ({resident:.0} resident, {touched} of them touched by the guest; {tables:.0} of page tables; {mappings:.1} mappings)"
    );
}

fn main() {
    let count = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(10_000);
    println!("{count} live instances, each in its own store");
    for (name, tier) in [("interpreted", Tier::Interp), ("compiled", Tier::Jit)] {
        live(&format!("empty, {name}"), tier, common::EMPTY, 0, count);
        live(&format!("small, {name}"), tier, common::SMALL, 2 * 4096, count);
        live(&format!("large, {name}"), tier, &common::large(), 2 * 4096, count);
    }
}
