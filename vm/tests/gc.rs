//! Objects and their collection.
//!
//! In: small programs that make garbage, with heaps too small for it or collected all the time. Out: what the programs compute, as
//! if nothing were ever freed; the heap's limit as a trap; handles of the host that keep objects alive and then do not.

mod support;

use vm::{
    AnyRef, Caller, Config, Engine, Error, Extern, ExternRef, Instance, Linker, Module, RefKind, Result, Store,
    StoreLimits, Tier, Trap, TrapKind, Val, collect_garbage, heap_stats,
};

fn module(engine: &Engine, text: &str) -> Module {
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    module.validate_bodies().unwrap_or_else(|e| panic!("{e}\n{text}"));
    module
}

/// A store whose heap has a limit, and an instance in it with the host's function `h.gc`, which collects.
fn limited(config: &Config, limit: Option<u64>, text: &str) -> (Store<()>, Instance) {
    let engine = Engine::new(config).expect("the settings can be met");
    let mut store = Store::new(&engine, ());
    store.limits(StoreLimits { gc_heap_bytes: limit, ..StoreLimits::default() });
    let mut linker = Linker::new(&engine);
    linker.func_wrap("h", "gc", |caller: Caller<'_, ()>| collect_garbage(caller)).expect("new");
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("it can be instantiated");
    (store, instance)
}

fn call<P: vm::WasmParams, R: vm::WasmResults>(store: &mut Store<()>, i: Instance, name: &str, p: P) -> Result<R> {
    i.get_typed_func::<P, R>(&mut *store, name)?.call(store, p)
}

fn kind<T>(outcome: Result<T>) -> TrapKind {
    outcome.err().as_ref().and_then(Error::as_trap).map(Trap::kind).expect("it traps")
}

/// As the environment says, and collecting at every allocation.
fn configs() -> [Config; 2] {
    let mut stressed = support::config();
    stressed.gc_stress(1);
    [support::config(), stressed]
}

const LIST: &str = r#"(module
    (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
    (func (export "sum_of_last") (param $n i32) (param $kept i32) (result i32)
        (local $head (ref null $node)) (local $at (ref null $node)) (local $i i32) (local $sum i32)
        (loop $more
            ;; A new head; the list is cut behind the last that are kept.
            (local.set $head (struct.new $node (local.get $i) (local.get $head)))
            (if (i32.eqz (i32.rem_u (local.get $i) (local.get $kept))) (then
                (struct.set $node $next (local.get $head) (ref.null $node))))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (local.set $at (local.get $head))
        (block $done (loop $next
            (br_if $done (ref.is_null (local.get $at)))
            (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $at))))
            (local.set $at (struct.get $node $next (local.get $at)))
            (br $next)))
        (local.get $sum))
    (func (export "endless") (local $head (ref null $node))
        (loop (local.set $head (struct.new $node (i32.const 1) (local.get $head))) (br 0)))
    (func (export "long") (param $n i32) (result i32)
        (local $head (ref null $node))
        (loop $more
            (local.set $head (struct.new $node (local.get $n) (local.get $head)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (drop (call $pair (local.get $head)))
        (struct.get $node $value (local.get $head)))
    (func $pair (param (ref null $node)) (result (ref $node)) (struct.new $node (i32.const 0) (local.get 0))))"#;

#[test]
fn a_list_is_longer_than_memory_would_allow_without_collection() {
    for (config, n) in configs().into_iter().zip([1_000_000, 3_000]) {
        let (mut store, i) = limited(&config, Some(256 << 10), LIST);
        let kept = 500;
        let last = n - 1 - (n - 1) % kept;
        let sum: i32 = (last..n).sum();
        assert_eq!(call::<_, i32>(&mut store, i, "sum_of_last", (n, kept)).expect("it fits"), sum);
        let stats = heap_stats(&store);
        assert!(stats.used <= 256 << 10, "{stats:?}");
        assert!(stats.collections > 10, "{stats:?}");
    }
}

#[test]
fn the_heap_is_limited() {
    let (mut store, i) = limited(&support::config(), Some(1 << 20), LIST);
    for _ in 0..3 {
        assert_eq!(kind(call::<_, ()>(&mut store, i, "endless", ())), TrapKind::HeapExhausted);
        // What it has made is garbage now.
        assert_eq!(call::<_, i32>(&mut store, i, "sum_of_last", (1000, 1000)).expect("there is room"), 499_500);
    }
    // Not even one object.
    let (mut store, i) = limited(&support::config(), Some(100), LIST);
    assert_eq!(kind(call::<_, ()>(&mut store, i, "endless", ())), TrapKind::HeapExhausted);
}

#[test]
fn long_lists_are_marked_without_recursion() {
    let (mut store, i) = limited(&support::config(), None, LIST);
    assert_eq!(call::<_, i32>(&mut store, i, "long", 1_000_000).expect("it fits"), 1);
    assert!(heap_stats(&store).collections > 0);
    collect_garbage(&mut store);
    assert_eq!(heap_stats(&store).live, 0);
}

#[test]
fn cycles_are_garbage_too() {
    let text = r#"(module
        (type $node (struct (field $other (mut (ref null $node))) (field i64)))
        (func (export "run") (param $n i32) (local $a (ref null $node)) (local $b (ref null $node))
            (loop $more
                (local.set $a (struct.new $node (ref.null $node) (i64.const 1)))
                (local.set $b (struct.new $node (local.get $a) (i64.const 2)))
                (struct.set $node $other (local.get $a) (local.get $b))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    for (config, n) in configs().into_iter().zip([100_000, 1_000]) {
        let (mut store, i) = limited(&config, Some(128 << 10), text);
        call::<_, ()>(&mut store, i, "run", n).expect("it fits");
        collect_garbage(&mut store);
        assert_eq!(heap_stats(&store).live, 0);
    }
}

#[test]
fn arrays_of_references_keep_what_is_in_them() {
    let text = r#"(module
        (type $row (array (mut i32))) (type $rows (array (mut (ref null $row))))
        (func (export "run") (param $rounds i32) (result i32)
            (local $rows (ref $rows)) (local $i i32) (local $sum i32)
            (local.set $rows (array.new_default $rows (i32.const 1500)))
            (loop $round
                (local.set $i (i32.const 0))
                (loop $more
                    (array.set $rows (local.get $rows) (local.get $i)
                        (array.new $row (i32.add (local.get $i) (local.get $rounds)) (i32.add (i32.and (local.get $i) (i32.const 63)) (i32.const 1))))
                    (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1500))))
                (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
            ;; A copy, so that the rows are only in the second array.
            (local.set $rows (call $copy (local.get $rows)))
            (loop $each
                (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                (local.set $sum (i32.add (local.get $sum)
                    (array.get $row (array.get $rows (local.get $rows) (local.get $i))
                        (i32.sub (array.len (array.get $rows (local.get $rows) (local.get $i))) (i32.const 1)))))
                (br_if $each (local.get $i)))
            (local.get $sum))
        (func $copy (param $from (ref $rows)) (result (ref $rows)) (local $to (ref $rows))
            (local.set $to (array.new_default $rows (array.len (local.get $from))))
            (array.copy $rows $rows (local.get $to) (i32.const 0) (local.get $from) (i32.const 0) (array.len (local.get $from)))
            (array.fill $rows (local.get $from) (i32.const 0) (ref.null $row) (array.len (local.get $from)))
            (local.get $to)))"#;
    for (config, rounds) in configs().into_iter().zip([100, 1]) {
        let (mut store, i) = limited(&config, Some(2 << 20), text);
        let sum = (0..1500).map(|i| i + 1).sum();
        assert_eq!(call::<_, i32>(&mut store, i, "run", rounds).expect("it fits"), sum);
    }
}

/// Keys in a splay tree: insert, find, remove; the tree is checked against what it should hold.
const SPLAY: &str = r#"(module
    (type $load (array i64))
    (type $tree (struct (field $key i32) (field $left (mut (ref null $tree))) (field $right (mut (ref null $tree)))
        (field $load (ref $load))))
    (global $root (mut (ref null $tree)) (ref.null $tree))
    (func $new (param i32) (result (ref $tree))
        (struct.new $tree (local.get 0) (ref.null $tree) (ref.null $tree)
            (array.new $load (i64.extend_i32_u (local.get 0)) (i32.const 10))))
    ;; Top down, after Sleator and Tarjan.
    (func $splay (param $key i32)
        (local $dummy (ref $tree)) (local $l (ref $tree)) (local $r (ref $tree)) (local $t (ref $tree)) (local $y (ref $tree))
        (if (ref.is_null (global.get $root)) (then (return)))
        (local.set $dummy (call $new (i32.const -1)))
        (local.set $l (local.get $dummy)) (local.set $r (local.get $dummy))
        (local.set $t (ref.as_non_null (global.get $root)))
        (block $done (loop $down
            (if (i32.lt_s (local.get $key) (struct.get $tree $key (local.get $t))) (then
                (local.set $y (br_on_null $done (struct.get $tree $left (local.get $t))))
                (if (i32.lt_s (local.get $key) (struct.get $tree $key (local.get $y))) (then
                    (struct.set $tree $left (local.get $t) (struct.get $tree $right (local.get $y)))
                    (struct.set $tree $right (local.get $y) (local.get $t))
                    (local.set $t (local.get $y))
                    (br_if $done (ref.is_null (struct.get $tree $left (local.get $t))))))
                (struct.set $tree $left (local.get $r) (local.get $t))
                (local.set $r (local.get $t))
                (local.set $t (ref.as_non_null (struct.get $tree $left (local.get $t))))
                (br $down)))
            (if (i32.gt_s (local.get $key) (struct.get $tree $key (local.get $t))) (then
                (local.set $y (br_on_null $done (struct.get $tree $right (local.get $t))))
                (if (i32.gt_s (local.get $key) (struct.get $tree $key (local.get $y))) (then
                    (struct.set $tree $right (local.get $t) (struct.get $tree $left (local.get $y)))
                    (struct.set $tree $left (local.get $y) (local.get $t))
                    (local.set $t (local.get $y))
                    (br_if $done (ref.is_null (struct.get $tree $right (local.get $t))))))
                (struct.set $tree $right (local.get $l) (local.get $t))
                (local.set $l (local.get $t))
                (local.set $t (ref.as_non_null (struct.get $tree $right (local.get $t))))
                (br $down)))))
        (struct.set $tree $right (local.get $l) (struct.get $tree $left (local.get $t)))
        (struct.set $tree $left (local.get $r) (struct.get $tree $right (local.get $t)))
        (struct.set $tree $left (local.get $t) (struct.get $tree $right (local.get $dummy)))
        (struct.set $tree $right (local.get $t) (struct.get $tree $left (local.get $dummy)))
        (global.set $root (local.get $t)))
    (func $insert (export "insert") (param $key i32) (local $node (ref $tree)) (local $root (ref $tree))
        (local.set $node (call $new (local.get $key)))
        (if (ref.is_null (global.get $root)) (then (global.set $root (local.get $node)) (return)))
        (call $splay (local.get $key))
        (local.set $root (ref.as_non_null (global.get $root)))
        (if (i32.eq (struct.get $tree $key (local.get $root)) (local.get $key)) (then (return)))
        (if (i32.gt_s (local.get $key) (struct.get $tree $key (local.get $root)))
            (then
                (struct.set $tree $left (local.get $node) (local.get $root))
                (struct.set $tree $right (local.get $node) (struct.get $tree $right (local.get $root)))
                (struct.set $tree $right (local.get $root) (ref.null $tree)))
            (else
                (struct.set $tree $right (local.get $node) (local.get $root))
                (struct.set $tree $left (local.get $node) (struct.get $tree $left (local.get $root)))
                (struct.set $tree $left (local.get $root) (ref.null $tree))))
        (global.set $root (local.get $node)))
    (func (export "has") (param $key i32) (result i32)
        (if (ref.is_null (global.get $root)) (then (return (i32.const 0))))
        (call $splay (local.get $key))
        (i32.eq (struct.get $tree $key (global.get $root)) (local.get $key)))
    (func (export "remove") (param $key i32) (local $right (ref null $tree))
        (if (ref.is_null (global.get $root)) (then (return)))
        (call $splay (local.get $key))
        (if (i32.ne (struct.get $tree $key (global.get $root)) (local.get $key)) (then (return)))
        (local.set $right (struct.get $tree $right (global.get $root)))
        (if (ref.is_null (struct.get $tree $left (global.get $root)))
            (then (global.set $root (local.get $right)))
            (else
                (global.set $root (struct.get $tree $left (global.get $root)))
                (call $splay (local.get $key))
                (struct.set $tree $right (global.get $root) (local.get $right)))))
    ;; Number of nodes, with a check of their loads.
    (func $count (param $t (ref null $tree)) (result i32)
        (if (ref.is_null (local.get $t)) (then (return (i32.const 0))))
        (if (i64.ne (array.get $load (struct.get $tree $load (local.get $t)) (i32.const 9))
            (i64.extend_i32_u (struct.get $tree $key (local.get $t)))) (then unreachable))
        (i32.add (i32.const 1) (i32.add
            (call $count (struct.get $tree $left (local.get $t))) (call $count (struct.get $tree $right (local.get $t))))))
    (func (export "count") (result i32) (call $count (global.get $root))))"#;

#[test]
fn a_splay_tree_holds_what_it_should() {
    for (config, steps) in configs().into_iter().zip([200_000, 2_000]) {
        let (mut store, i) = limited(&config, Some(1 << 20), SPLAY);
        let insert = i.get_typed_func::<i32, ()>(&mut store, "insert").expect("exported");
        let remove = i.get_typed_func::<i32, ()>(&mut store, "remove").expect("exported");
        let has = i.get_typed_func::<i32, i32>(&mut store, "has").expect("exported");
        let mut expected = std::collections::BTreeSet::new();
        let mut rng = support::Rng::new(7);
        for _ in 0..steps {
            let key = rng.below(1500) as i32;
            match rng.below(3) {
                0 => {
                    insert.call(&mut store, key).expect("it fits");
                    expected.insert(key);
                }
                1 => {
                    remove.call(&mut store, key).expect("it fits");
                    expected.remove(&key);
                }
                _ => assert_eq!(has.call(&mut store, key).expect("it fits") == 1, expected.contains(&key)),
            }
        }
        assert_eq!(call::<_, i32>(&mut store, i, "count", ()).expect("all intact") as usize, expected.len());
        assert!(heap_stats(&store).collections > 10);
    }
}

/// Objects that are in one place only while everything else is overwritten and garbage collected.
const HIDDEN: &str = r#"(module
    (import "h" "gc" (func $gc))
    (type $box (struct (field (mut i32)))) (type $elements (array (ref null $box)))
    (global $global (mut (ref null $box)) (ref.null $box))
    (global $as_extern (mut externref) (ref.null extern))
    (global $at_first (ref $box) (struct.new $box (i32.const 77)))
    (table $table 10 anyref)
    (table $made 3 (ref null $box) (struct.new $box (i32.const 55)))
    (elem $passive (ref null $box) (item (struct.new $box (i32.const 33))) (item (ref.null $box)))
    (tag $tag (param (ref null $box)))
    (func $make (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
    (func $get (param (ref null $box)) (result i32) (struct.get $box 0 (local.get 0)))
    ;; Takes the places of what has been freed.
    (func $refill (result i32) (local $n i32)
        (loop $more
            (drop (struct.new $box (i32.const -1)))
            (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))
        (i32.const 0))
    ;; Garbage, and zeros over the slots that calls have used.
    (func $clobber (param $n i32) (result i32) (local i64 i64 i64 i64 i64 i64 i64 i64)
        (drop (struct.new $box (local.get $n)))
        (if (result i32) (local.get $n)
            (then (call $clobber (i32.sub (local.get $n) (i32.const 1))))
            (else (call $gc) (call $refill))))
    (func (export "global") (result i32)
        (global.set $global (call $make (i32.const 1))) (drop (call $clobber (i32.const 30))) (call $get (global.get $global)))
    (func (export "as_extern") (result i32)
        (global.set $as_extern (extern.convert_any (call $make (i32.const 9)))) (drop (call $clobber (i32.const 30)))
        (call $get (ref.cast (ref $box) (any.convert_extern (global.get $as_extern)))))
    (func (export "at_first") (result i32) (drop (call $clobber (i32.const 30))) (call $get (global.get $at_first)))
    (func (export "table") (result i32)
        (table.set $table (i32.const 3) (call $make (i32.const 2))) (drop (call $clobber (i32.const 30)))
        (call $get (ref.cast (ref $box) (table.get $table (i32.const 3)))))
    (func (export "made") (result i32) (drop (call $clobber (i32.const 30))) (call $get (table.get $made (i32.const 2))))
    (func (export "segment") (result i32)
        (drop (call $clobber (i32.const 30)))
        (call $get (array.get $elements (array.new_elem $elements $passive (i32.const 0) (i32.const 2)) (i32.const 0))))
    (func (export "segment_has_one") (result i32)
        (ref.eq
            (array.get $elements (array.new_elem $elements $passive (i32.const 0) (i32.const 1)) (i32.const 0))
            (array.get $elements (array.new_elem $elements $passive (i32.const 0) (i32.const 1)) (i32.const 0))))
    (func $throw (throw $tag (call $make (i32.const 4))))
    (func (export "exception") (result i32) (local $e exnref)
        (local.set $e (block $caught (result exnref) (try_table (catch_all_ref $caught) (call $throw)) unreachable))
        (drop (call $clobber (i32.const 30)))
        (call $get (block $again (result (ref null $box)) (try_table (catch $tag $again) (throw_ref (local.get $e))) unreachable)))
    ;; No instruction on objects, so these are compiled where there is a compiler.
    (func (export "frame") (result i32) (local $a (ref null $box)) (local $b (ref null $box)) (local $i i32)
        (local.set $a (call $make (i32.const 5)))
        (local.set $b (call $make (i32.const 6)))
        (loop $more
            (drop (call $clobber (i32.const 30)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
        (i32.add (call $get (local.get $a)) (i32.mul (call $get (local.get $b)) (i32.const 10))))
    (func $many (param $n i32) (param $a (ref null $box)) (param (ref null $box) (ref null $box) (ref null $box) (ref null $box)
        (ref null $box) (ref null $box) (ref null $box) (ref null $box) (ref null $box)) (param $z (ref null $box)) (result i32)
        (drop (call $clobber (i32.const 30)))
        (i32.add (call $get (local.get $a)) (i32.mul (call $get (local.get $z)) (i32.const 10))))
    (func (export "arguments") (result i32)
        (call $many (i32.const 0) (call $make (i32.const 1)) (call $make (i32.const 0)) (call $make (i32.const 0)) (call $make (i32.const 0))
            (call $make (i32.const 0)) (call $make (i32.const 0)) (call $make (i32.const 0)) (call $make (i32.const 0))
            (call $make (i32.const 0)) (call $make (i32.const 0)) (call $make (i32.const 8)))))"#;

#[test]
fn objects_are_found_wherever_they_are() {
    let expected = [
        ("global", 1),
        ("as_extern", 9),
        ("at_first", 77),
        ("table", 2),
        ("made", 55),
        ("segment", 33),
        ("segment_has_one", 1),
        ("exception", 4),
        ("frame", 65),
        ("arguments", 81),
    ];
    for tier in [Tier::Interp, Tier::Jit] {
        for stress in [0, 1] {
            let mut config = Config::new();
            config.tier(tier).gc_stress(stress);
            let (mut store, i) = limited(&config, None, HIDDEN);
            for (name, value) in expected {
                let found = call::<_, i32>(&mut store, i, name, ()).unwrap_or_else(|e| panic!("{tier:?} {name}: {e}"));
                assert_eq!(found, value, "{tier:?} {stress} {name}");
            }
        }
    }
}

/// Many exceptions, of which the guest keeps few.
#[test]
fn exceptions_are_collected() {
    let text = r#"(module
        (type $list (array (mut exnref)))
        (tag $tag (param i32 exnref))
        (global $kept (mut exnref) (ref.null exn))
        (func $throw (param i32) (throw $tag (local.get 0) (global.get $kept)))
        (func $take (param i32) (result exnref)
            (block $caught (result exnref) (try_table (catch_all_ref $caught) (call $throw (local.get 0))) unreachable))
        (func $value (param exnref) (result i32) (local exnref)
            (block $caught (result i32 exnref) (try_table (catch $tag $caught) (throw_ref (local.get 0))) unreachable)
            (local.set 1))
        (func (export "in_global") (param $n i32) (result i32) (local $i i32)
            (loop $more
                ;; Chains of a hundred.
                (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 100))) (then (global.set $kept (ref.null exn))))
                (global.set $kept (call $take (local.get $i)))
                (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
            (call $value (global.get $kept)))
        (func (export "in_array") (param $n i32) (result i32) (local $all (ref $list)) (local $i i32) (local $sum i32)
            (global.set $kept (ref.null exn))
            (local.set $all (array.new_default $list (i32.const 100)))
            (loop $more
                (array.set $list (local.get $all) (i32.rem_u (local.get $i) (i32.const 100)) (call $take (local.get $i)))
                (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
            (local.set $i (i32.const 0))
            (loop $each
                (local.set $sum (i32.add (local.get $sum) (call $value (array.get $list (local.get $all) (local.get $i)))))
                (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
            (local.get $sum)))"#;
    for tier in [Tier::Interp, Tier::Jit] {
        for (stress, n) in [(0, 30_000), (1, 1_000)] {
            let mut config = Config::new();
            config.tier(tier).gc_stress(stress);
            let (mut store, i) = limited(&config, None, text);
            assert_eq!(call::<_, i32>(&mut store, i, "in_global", n).expect("few are kept"), n - 1);
            let sum = (n - 100..n).fold(0i32, |sum, i| sum.wrapping_add(i));
            assert_eq!(call::<_, i32>(&mut store, i, "in_array", n).expect("few are kept"), sum);
            let stats = heap_stats(&store);
            assert!(stats.collections > 5 && stats.exceptions < 10_000, "{stats:?}");
            collect_garbage(&mut store);
            assert!(heap_stats(&store).exceptions <= 200);
        }
    }
}

const EXPORTS: &str = r#"(module
    (import "h" "gc" (func $gc))
    (type $pair (struct (field i8) (field (mut f64)) (field (ref null $pair)) (field v128)))
    (type $words (array (mut i16)))
    (func (export "pair") (result anyref)
        (struct.new $pair (i32.const 300) (f64.const 2.5)
            (struct.new $pair (i32.const 1) (f64.const 1) (ref.null $pair) (v128.const i64x2 0 0)) (v128.const i64x2 5 6)))
    (func (export "words") (param i32) (result anyref) (array.new $words (i32.const -2) (local.get 0)))
    (func (export "first") (param anyref) (result i32) (call $gc)
        (array.get_s $words (ref.cast (ref $words) (local.get 0)) (i32.const 0)))
    (func (export "i31") (param i32) (result anyref) (ref.i31 (local.get 0)))
    (func (export "same") (param anyref) (result anyref) (local.get 0))
    (func (export "of_type") (param (ref null $words)) (result i32) (array.len (local.get 0))))"#;

#[test]
fn the_host_holds_and_reads_objects() {
    let (mut store, i) = limited(&support::config(), None, EXPORTS);
    let pair = call::<_, Option<AnyRef>>(&mut store, i, "pair", ()).expect("made").expect("not null");
    collect_garbage(&mut store);
    assert!(matches!(pair.kind(&store), Ok(RefKind::Struct(_))));
    assert_eq!(pair.field(&store, 0).expect("a field").i32(), Some(44));
    assert_eq!(pair.field(&store, 1).expect("a field").f64(), Some(2.5));
    let Val::AnyRef(Some(inner)) = pair.field(&store, 2).expect("a field") else { panic!("a reference") };
    assert_eq!(inner.field(&store, 0).expect("a field").i32(), Some(1));
    assert!(matches!(pair.field(&store, 3), Ok(Val::V128(v)) if v.0 == 6 << 64 | 5));
    assert!(pair.field(&store, 4).is_err() && pair.len(&store).is_err() && pair.element(&store, 0).is_err());
    let again = call::<_, Option<AnyRef>>(&mut store, i, "same", Some(pair)).expect("passed").expect("not null");
    assert!(again.same(&store, pair).expect("both at work") && !inner.same(&store, pair).expect("both at work"));
    for handle in [pair, inner, again] {
        handle.unroot(&mut store).expect("at work");
        assert!(handle.kind(&store).is_err() && handle.unroot(&mut store).is_err());
    }
    collect_garbage(&mut store);
    assert_eq!(heap_stats(&store).live, 0);
    assert!(call::<_, Option<AnyRef>>(&mut store, i, "same", Some(pair)).is_err());
}

#[test]
fn handles_end_with_their_scope_and_belong_to_one_store() {
    let (mut store, i) = limited(&support::config(), None, EXPORTS);
    let (mut other, j) = limited(&support::config(), None, EXPORTS);
    let words =
        |store: &mut Store<()>, n| call::<_, Option<AnyRef>>(store, i, "words", n).expect("made").expect("not null");
    let (lost, kept) = vm::scope(&mut store, |store| {
        let kept = words(store, 3);
        kept.keep(&mut *store).expect("at work");
        (words(store, 100_000), kept)
    });
    collect_garbage(&mut store);
    assert!(lost.kind(&store).is_err());
    assert_eq!(kept.len(&store).expect("at work"), 3);
    assert!(heap_stats(&store).live < 100);
    assert_eq!(call::<_, i32>(&mut store, i, "first", Some(kept)).expect("an array"), -2);
    assert!(call::<_, i32>(&mut other, j, "first", Some(kept)).is_err());
    assert!(kept.kind(&other).is_err());
    // An i31 is of every store.
    let small = call::<_, Option<AnyRef>>(&mut store, i, "i31", -5).expect("made").expect("not null");
    assert_eq!(small, AnyRef::from_i31(-5));
    assert_eq!(small.kind(&other).expect("of any store"), RefKind::I31(-5));
    assert_eq!(kind(call::<_, i32>(&mut other, j, "first", Some(small))), TrapKind::CastFailure);
}

#[test]
fn values_are_checked_against_the_types_of_objects() {
    let (mut store, i) = limited(&support::config(), None, EXPORTS);
    let of_type = i.get_func(&mut store, "of_type").expect("exported");
    let words = call::<_, Option<AnyRef>>(&mut store, i, "words", 7).expect("made");
    let pair = call::<_, Option<AnyRef>>(&mut store, i, "pair", ()).expect("made");
    let mut results = [Val::I32(0)];
    of_type.call(&mut store, &[Val::AnyRef(words)], &mut results).expect("of that type");
    assert_eq!(results[0].i32(), Some(7));
    let host = ExternRef::new(&mut store, 5u32);
    for wrong in [pair, Some(AnyRef::from_i31(1)), Some(host.to_any())] {
        assert!(of_type.call(&mut store, &[Val::AnyRef(wrong)], &mut results).is_err());
    }
    let null = of_type.call(&mut store, &[Val::AnyRef(None)], &mut results);
    assert_eq!(kind(null), TrapKind::NullArrayReference);
    // A host value passes through the other hierarchy.
    let back =
        call::<_, Option<AnyRef>>(&mut store, i, "same", Some(host.to_any())).expect("passed").expect("not null");
    assert_eq!(back.to_extern().data(&store).expect("a host value").downcast_ref::<u32>(), Some(&5));
    assert!(words.expect("not null").to_extern().data(&store).is_err());
}

#[test]
fn host_functions_are_given_objects_that_live_while_they_run() {
    let engine = support::engine();
    let mut store = Store::new(&engine, Vec::new());
    let mut linker: Linker<Vec<AnyRef>> = Linker::new(&engine);
    let look = |mut caller: Caller<'_, Vec<AnyRef>>, r: Option<AnyRef>| -> Result<Option<AnyRef>> {
        let r = r.ok_or_else(|| Error::host("null"))?;
        collect_garbage(&mut caller);
        assert_eq!(r.len(&caller)?, 9);
        caller.data_mut().push(r);
        Ok(Some(r))
    };
    linker.func_wrap("h", "look", look).expect("new");
    let text = r#"(module (type $a (array i32)) (import "h" "look" (func $look (param anyref) (result anyref)))
        (func (export "run") (result i32)
            (array.len (ref.cast (ref $a) (call $look (array.new_default $a (i32.const 9)))))))"#;
    let i = linker.instantiate(&mut store, &module(&engine, text)).expect("it can be instantiated");
    let run = i.get_typed_func::<(), i32>(&mut store, "run").expect("exported");
    for _ in 0..3 {
        assert_eq!(run.call(&mut store, ()).expect("it returns"), 9);
    }
    // The handles were those of the calls.
    let handles = store.data().clone();
    assert!(handles.iter().all(|h| h.kind(&store).is_err()));
}

#[test]
fn stores_with_heaps_come_and_go() {
    let engine = support::engine();
    let module = module(&engine, LIST);
    for n in 0..2_000 {
        let mut store = Store::new(&engine, ());
        let i = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        assert_eq!(heap_stats(&store).used, 0);
        assert_eq!(
            call::<_, i32>(&mut store, i, "sum_of_last", (n % 50 + 1, 1000)).expect("it fits"),
            n % 50 * (n % 50 + 1) / 2
        );
    }
}

#[test]
fn references_are_initialised_from_objects_of_other_modules() {
    for config in configs() {
        let engine = Engine::new(&config).expect("the settings can be met");
        let mut store = Store::new(&engine, ());
        let first = r#"(module (type $a (sub (struct (field i32)))) (type $b (sub $a (struct (field i32) (field i64))))
            (global (export "g") (ref $a) (struct.new $b (i32.const 4) (i64.const 5)))
            (global (export "nested") anyref (array.new_fixed $arr 2 (struct.new $b (i32.const 1) (i64.const 2)) (struct.new_default $b)))
            (type $arr (array (mut (ref $a)))))"#;
        let first = Instance::new(&mut store, &module(&engine, first), &[]).expect("nothing is imported");
        let text = r#"(module (type $a (sub (struct (field i32)))) (type $b (sub $a (struct (field i32) (field i64))))
            (type $other (sub (struct (field i64)))) (type $arr (array (mut (ref $a))))
            (import "" "g" (global $g (ref $a))) (import "" "nested" (global $n anyref))
            (global $copy (ref $a) (global.get $g))
            (func (export "run") (result i64)
                (if (ref.test (ref $other) (global.get $copy)) (then unreachable))
                (i64.add (struct.get $b 1 (ref.cast (ref $b) (global.get $copy)))
                    (struct.get $b 1 (ref.cast (ref $b) (array.get $arr (ref.cast (ref $arr) (global.get $n)) (i32.const 0)))))))"#;
        let imports: Vec<Extern> =
            ["g", "nested"].map(|name| first.get_export(&mut store, name).expect("exported")).into();
        let second = Instance::new(&mut store, &module(&engine, text), &imports).expect("they fit");
        assert_eq!(call::<_, i64>(&mut store, second, "run", ()).expect("it returns"), 7);
    }
}

#[test]
fn failures_of_allocation_in_constants_are_traps() {
    let engine = support::engine();
    let mut store = Store::new(&engine, ());
    store.limits(StoreLimits { gc_heap_bytes: Some(1 << 20), ..StoreLimits::default() });
    for text in [
        "(module (type $a (array i64)) (global (ref $a) (array.new_default $a (i32.const 1000000))))",
        "(module (type $a (array i64)) (global (ref $a) (array.new $a (i64.const 1) (i32.const -1))))",
        "(module (type $a (array i64)) (elem (ref $a) (item (array.new_default $a (i32.const 1000000)))))",
    ] {
        let outcome = Instance::new(&mut store, &module(&engine, text), &[]);
        assert_eq!(kind(outcome.map(drop)), TrapKind::HeapExhausted, "{text}");
    }
}
