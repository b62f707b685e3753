//! What another thread changes meanwhile (`jit/src/x64/lower.rs`): a load is executed once, however often what is made of it is used.

use super::ways;
use std::sync::atomic::{AtomicBool, Ordering};
use vm::{Engine, Instance, MemoryType, Module, SharedMemory, Store};

/// `toggle` lets one cell go back and forth; the others count how often two uses of what was read from it once contradict each other.
const TEXT: &str = r#"(module (import "" "m" (memory 1 1 shared))
    (func (export "toggle") (param $n i32)
      (loop $l
        (v128.store (i32.const 16) (i32x4.splat (i32.and (local.get $n) (i32.const 1))))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func $compared (result i32) (local $c i32) (local $r i32) (loop)
      (local.set $c (i32.eq (i32.load (i32.const 16)) (i32.const 1)))
      (if (local.get $c) (then (local.set $r (i32.const 1)) (i32.store (i32.const 64) (i32.const 9))))
      (i32.xor (local.get $c) (local.get $r)))
    (func (export "compared") (param $n i32) (result i32) (local $wrong i32)
      (loop $l
        (local.set $wrong (i32.add (local.get $wrong) (call $compared)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $wrong))
    (func $masked (result i32) (local $c i32) (local $r i32) (loop)
      (local.set $c (i32.eqz (i32.eqz (i32.and (i32.load (i32.const 16)) (i32.const 3)))))
      (if (local.get $c) (then (local.set $r (i32.const 1)) (i32.store (i32.const 64) (i32.const 9))))
      (i32.xor (local.get $c) (local.get $r)))
    (func (export "masked") (param $n i32) (result i32) (local $wrong i32)
      (loop $l
        (local.set $wrong (i32.add (local.get $wrong) (call $masked)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $wrong))
    (func $floats (result i32) (local $c i32) (local $r i32) (loop)
      (local.set $c (f32.gt (f32.const 0x1p-149) (f32.load (i32.const 16))))
      (if (local.get $c) (then (local.set $r (i32.const 1)) (i32.store (i32.const 64) (i32.const 9))))
      (f32.ne (select (f32.const 1) (f32.const 0) (local.get $c)) (f32.convert_i32_s (local.get $r))))
    (func (export "floats") (param $n i32) (result i32) (local $wrong i32)
      (loop $l
        (local.set $wrong (i32.add (local.get $wrong) (call $floats)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $wrong))
    (func $vectors (result i32) (local $c i32) (local $r i32) (loop)
      (local.set $c (i32x4.all_true (i32x4.ne (v128.const i32x4 1 1 1 1) (v128.load (i32.const 16)))))
      (if (local.get $c) (then (local.set $r (i32.const 1)) (i32.store (i32.const 64) (i32.const 9))))
      (i32.xor (local.get $c) (local.get $r)))
    (func (export "vectors") (param $n i32) (result i32) (local $wrong i32)
      (loop $l
        (local.set $wrong (i32.add (local.get $wrong) (call $vectors)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $wrong)))"#;

fn instance(engine: &Engine, module: &Module, memory: &SharedMemory) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[memory.clone().into()]).expect("it fits");
    (store, instance)
}

#[test]
fn what_is_loaded_once_is_read_once() {
    for way in ways().iter().filter(|w| !w.fuel) {
        let module = Module::new(&way.engine, TEXT).expect("a valid module");
        let ty = MemoryType { min: 1, max: Some(1), is64: false, shared: true, page_size_log2: 16 };
        let memory = SharedMemory::new(&way.engine, ty).expect("there is room");
        let done = AtomicBool::new(false);
        std::thread::scope(|s| {
            s.spawn(|| {
                let (mut store, i) = instance(&way.engine, &module, &memory);
                let toggle = i.get_typed_func::<i32, ()>(&mut store, "toggle").expect("exported");
                while !done.load(Ordering::Relaxed) {
                    toggle.call(&mut store, 100_000).expect("it cannot fail");
                }
            });
            let (mut store, i) = instance(&way.engine, &module, &memory);
            let counts = ["compared", "masked", "floats", "vectors"].map(|name| {
                let f = i.get_typed_func::<i32, i32>(&mut store, name).expect("exported");
                f.call(&mut store, 200_000)
            });
            done.store(true, Ordering::Relaxed);
            for count in counts {
                assert_eq!(count.expect("it cannot fail"), 0, "{}", way.name);
            }
        });
    }
}
