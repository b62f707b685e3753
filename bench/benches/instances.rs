//! Instances in one process: a store is made, a module instantiated in it and called once, and all of it dropped, over and
//! over, on one thread and on several at once.
//!
//! In: modules of three sizes. Out: time per instance and thread. With the feature `wasmtime-embed` the same is done with
//! wasmtime and its pooling allocator in the same run.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};
use vm::{Caller, Engine, Linker, Module, Store};

/// What one engine does with one module.
type Once = Box<dyn Fn() -> i32 + Send + Sync>;

fn with_vm(text: &str) -> Once {
    let engine = Engine::default();
    let module = Module::new(&engine, text).expect("a valid module");
    let mut linker = Linker::<u64>::new(&engine);
    let log = |mut caller: Caller<'_, u64>, n: i32| *caller.data_mut() += u64::from(n.unsigned_abs());
    linker.func_wrap("host", "log", log).expect("the name is free");
    let pre = linker.instantiate_pre(&module).expect("its import is defined");
    Box::new(move || {
        let mut store = Store::new(&engine, 0);
        let instance = pre.instantiate(&mut store).expect("it can be instantiated");
        let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("it is exported");
        run.call(&mut store, ()).expect("it does not trap")
    })
}

#[cfg(feature = "wasmtime-embed")]
fn with_wasmtime(text: &str) -> Once {
    use wasmtime::{
        Caller, Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig, Store,
    };
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(64).total_memories(64).total_tables(64).max_memory_size(16 << 20);
    pool.linear_memory_keep_resident(1 << 20).table_keep_resident(64 << 10);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).expect("the settings can be met");
    let module = Module::new(&engine, text).expect("a valid module");
    let mut linker = Linker::<u64>::new(&engine);
    let log = |mut caller: Caller<'_, u64>, n: i32| *caller.data_mut() += u64::from(n.unsigned_abs());
    linker.func_wrap("host", "log", log).expect("the name is free");
    let pre = linker.instantiate_pre(&module).expect("its import is defined");
    Box::new(move || {
        let mut store = Store::new(&engine, 0);
        let instance = pre.instantiate(&mut store).expect("there is room in the pool");
        let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("it is exported");
        run.call(&mut store, ()).expect("it does not trap")
    })
}

/// Time of `count` rounds on each of `threads` threads.
fn timed(once: &Once, threads: usize, count: u64) -> Duration {
    let barrier = std::sync::Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    black_box(once());
                    barrier.wait();
                    for _ in 0..count {
                        black_box(once());
                    }
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        workers.into_iter().for_each(|w| w.join().expect("it does not panic"));
        start.elapsed()
    })
}

fn instances(c: &mut Criterion) {
    let large = common::large();
    for (size, text) in [("empty", common::EMPTY), ("small", common::SMALL), ("large", &large)] {
        let mut group = c.benchmark_group(format!("instances, {size}"));
        let engines = [
            ("vm", with_vm(text)),
            #[cfg(feature = "wasmtime-embed")]
            ("wasmtime", with_wasmtime(text)),
        ];
        for (engine, once) in &engines {
            group.bench_function(format!("{engine}, 1 thread"), |b| b.iter(once));
            for threads in [2, 4] {
                group.bench_function(format!("{engine}, {threads} threads"), |b| {
                    b.iter_custom(|count| timed(once, threads, count));
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = instances
}
criterion_main!(benches);
