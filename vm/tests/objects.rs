//! Instructions on objects in every tier.
//!
//! In: modules with one function per instruction and operand. Out: the results, traps and places of traps of the interpreter, in
//! every configuration and with garbage collected all the time; and no function that the compiler refuses.

mod support;

use std::fmt::Write;
use support::Mode;
use vm::{Error, Instance, Module, Result, Store, TypedFunc};

fn all_modes() -> Vec<Mode> {
    let mut modes = support::modes(|_| ());
    modes.extend(support::stressed());
    modes
}

fn describe(outcome: Result<i64>) -> String {
    match outcome {
        Ok(v) => v.to_string(),
        Err(e) => match e.as_trap() {
            Some(t) => {
                let places: Vec<_> = t.backtrace().iter().map(|f| (f.func_index, f.code_offset)).collect();
                format!("{:?} at {places:?}", t.kind())
            }
            None => e.to_string(),
        },
    }
}

/// Calls every exported function with every argument in every mode; the first mode, the interpreter's, says what is right.
fn compare(text: &str, args: std::ops::Range<i32>) -> Vec<String> {
    let mut expected = Vec::new();
    for mode in all_modes() {
        let module = Module::new(&mode.engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut store = Store::new(&mode.engine, ());
        if mode.fuel {
            store.set_fuel(i64::MAX as u64 / 2).expect("there is fuel");
        }
        let instance = Instance::new(&mut store, &module, &[]).expect("it can be instantiated");
        let names: Vec<String> = instance.exports(&mut store).map(|e| e.name().to_owned()).collect();
        let mut outcomes = Vec::new();
        for name in &names {
            let f: TypedFunc<i32, i64> = instance.get_typed_func(&mut store, name).expect("of that type");
            for arg in args.clone() {
                let outcome: Result<i64, Error> = f.call(&mut store, arg);
                outcomes.push(format!("{name}({arg}): {}", describe(outcome)));
            }
        }
        let stats = mode.engine.compile_stats();
        assert!(stats.refused.is_empty(), "{}: {:?}", mode.name, stats.refused);
        if expected.is_empty() {
            expected = outcomes;
            continue;
        }
        for (have, want) in outcomes.iter().zip(&expected) {
            assert_eq!(have, want, "{}", mode.name);
        }
        assert_eq!(outcomes.len(), expected.len());
    }
    expected
}

/// The parentheses that are still to be closed.
fn open(text: &str) -> String {
    ")".repeat(text.matches('(').count() - text.matches(')').count())
}

const TYPES: &str = "
    (type $i8 (array (mut i8))) (type $i16 (array (mut i16))) (type $i32 (array (mut i32))) (type $i64 (array (mut i64)))
    (type $f32 (array (mut f32))) (type $f64 (array (mut f64))) (type $v128 (array (mut v128)))
    (type $refs (array (mut anyref))) (type $fixed (array i32))
    (type $a (sub (struct (field i32)))) (type $b (sub $a (struct (field i32) (field (mut i64)))))
    (type $c (sub final $b (struct (field i32) (field (mut i64)) (field (mut anyref)))))
    (type $d (sub (struct (field i32))))
    (type $s (struct (field $i8 (mut i8)) (field $i16 (mut i16)) (field $i32 (mut i32)) (field $i64 (mut i64))
        (field $f32 (mut f32)) (field $f64 (mut f64)) (field $v128 (mut v128)) (field $ref (mut anyref)) (field $const i8)))
    (type $f (func (param i32) (result i32)))
    (data $data \"abcdefghijklmnopqrstuvwxyz0123456789\")
    (elem $elem anyref (ref.i31 (i32.const 1)) (ref.null any) (struct.new $a (i32.const 3)) (array.new_fixed $fixed 1 (i32.const 4)))";

/// A reference of each sort by number: null, i31, structs, arrays, a host value's place is taken by an i31 from outside.
const MAKE: &str = "
    (func $make (param i32) (result anyref)
        (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
            (br_table $0 $1 $2 $3 $4 $5 $6 (local.get 0)))
            (return (ref.null any)))
            (return (ref.i31 (i32.const -7))))
            (return (struct.new $a (i32.const 10))))
            (return (struct.new $b (i32.const 11) (i64.const 12))))
            (return (struct.new $c (i32.const 13) (i64.const 14) (ref.null any))))
            (return (array.new $fixed (i32.const 15) (i32.const 3))))
        (struct.new $d (i32.const 16)))";

#[test]
fn tests_and_casts_of_all_references_to_all_types() {
    let heaps = ["any", "eq", "i31", "struct", "array", "none", "$a", "$b", "$c", "$d", "$fixed", "$refs"];
    // Static types that the operand is cast to first, when it is of that type.
    let operands =
        [("any", true), ("eq", true), ("any", false), ("struct", true), ("struct", false), ("$a", true), ("$a", false)];
    let mut text = format!("(module {TYPES} {MAKE}");
    for (s, (from, null)) in operands.iter().enumerate() {
        let operand = format!("(ref {}{from})", if *null { "null " } else { "" });
        for (h, heap) in heaps.iter().enumerate() {
            let is_below = match *from {
                "any" => true,
                "eq" => *heap != "any",
                "struct" => matches!(*heap, "struct" | "$a" | "$b" | "$c" | "$d" | "none"),
                _ => matches!(*heap, "$a" | "$b" | "$c" | "none"),
            };
            if !is_below {
                continue;
            }
            for nullable in [true, false] {
                if nullable && !null {
                    continue;
                }
                let to = format!("(ref {}{heap})", if nullable { "null " } else { "" });
                let n = format!("{s}_{h}_{nullable}");
                write!(text, "
                    (func $from{n} (param i32) (result {operand}) (ref.cast {operand} (call $make (local.get 0))))
                    (func (export \"test{n}\") (param i32) (result i64) (i64.extend_i32_u (ref.test {to} (call $from{n} (local.get 0)))))
                    (func (export \"cast{n}\") (param i32) (result i64)
                        (i64.extend_i32_u (ref.is_null (ref.cast {to} (call $from{n} (local.get 0))))))
                    (func (export \"br{n}\") (param i32) (result i64)
                        (drop (block $yes (result {to})
                            (drop (br_on_cast $yes {operand} {to} (call $from{n} (local.get 0))))
                            (return (i64.const 1))))
                        (i64.const 2))
                    (func (export \"fail{n}\") (param i32) (result i64)
                        (drop (block $no (result {operand})
                            (drop (br_on_cast_fail $no {operand} {to} (call $from{n} (local.get 0))))
                            (return (i64.const 1))))
                        (i64.const 2))").expect("to a string");
            }
        }
    }
    text.push(')');
    let outcomes = compare(&text, 0..7);
    for part in ["CastFailure", ": 1", ": 2", ": 0"] {
        assert!(outcomes.iter().any(|o| o.contains(part)), "{part}");
    }
}

#[test]
fn functions_are_cast_by_their_types() {
    let text = "(module (type $super (sub (func (result i32)))) (type $sub (sub $super (func (result i32))))
        (type $final (func (result i64)))
        (table $t 4 funcref) (elem (table $t) (i32.const 1) func $a $b $c)
        (func $a (type $super) (i32.const 1)) (func $b (type $sub) (i32.const 2)) (func $c (type $final) (i64.const 3))
        (func (export \"super\") (param i32) (result i64)
            (i64.extend_i32_u (call_ref $super (ref.cast (ref $super) (table.get $t (local.get 0))))))
        (func (export \"sub\") (param i32) (result i64)
            (i64.extend_i32_u (ref.test (ref null $sub) (table.get $t (local.get 0)))))
        (func (export \"final\") (param i32) (result i64)
            (call_ref $final (ref.cast (ref null $final) (table.get $t (local.get 0))))))";
    compare(text, 0..4);
}

#[test]
fn fields_of_all_kinds() {
    let mut text = format!("(module {TYPES} (global $null (mut (ref null $s)) (ref.null $s))
        (func $new (param i32) (result (ref null $s))
            (if (result (ref null $s)) (i32.eq (local.get 0) (i32.const 3)) (then (global.get $null)) (else
            (struct.new $s (i32.sub (local.get 0) (i32.const 2)) (i32.sub (local.get 0) (i32.const 2)) (i32.const -5)
                (i64.extend_i32_s (local.get 0)) (f32.const 1.5) (f64.const -2.5) (v128.const i64x2 7 8) (ref.i31 (local.get 0))
                (i32.const 200)))))");
    let reads = [
        ("i8_s", "i64.extend_i32_s (struct.get_s $s $i8"),
        ("i8_u", "i64.extend_i32_s (struct.get_u $s $i8"),
        ("i16_s", "i64.extend_i32_s (struct.get_s $s $i16"),
        ("i16_u", "i64.extend_i32_s (struct.get_u $s $i16"),
        ("const_s", "i64.extend_i32_s (struct.get_s $s $const"),
        ("i32", "i64.extend_i32_s (struct.get $s $i32"),
        ("i64", "i64.add (i64.const 0) (struct.get $s $i64"),
        ("f32", "i64.trunc_f32_s (struct.get $s $f32"),
        ("f64", "i64.trunc_f64_s (struct.get $s $f64"),
        ("v128", "i64x2.extract_lane 1 (struct.get $s $v128"),
        ("ref", "i64.extend_i32_s (i31.get_s (ref.cast (ref null i31) (struct.get $s $ref"),
    ];
    let writes = [
        ("i8", "(i32.const -300)"),
        ("i16", "(i32.const -70000)"),
        ("i32", "(local.get 0)"),
        ("i64", "(i64.const -9)"),
        ("f32", "(f32.const 33)"),
        ("f64", "(f64.const 44)"),
        ("v128", "(v128.const i64x2 5 6)"),
        ("ref", "(ref.null any)"),
    ];
    for (name, read) in reads {
        let ends = open(read);
        write!(text, "(func (export \"{name}\") (param i32) (result i64) ({read} (call $new (local.get 0)){ends}))")
            .expect("to a string");
        for (field, value) in writes {
            // With another object written to in between, which may be the same one.
            write!(text, "(func (export \"{name}-{field}\") (param i32) (result i64) (local $p (ref null $s)) (local $q (ref null $s))
                (local.set $p (call $new (local.get 0)))
                (local.set $q (if (result (ref null $s)) (i32.and (local.get 0) (i32.const 1)) (then (local.get $p)) (else (call $new (i32.const 0)))))
                (drop ({read} (local.get $p){ends}))
                (struct.set $s ${field} (local.get $q) {value})
                (i64.add (i64.mul (i64.const 1000) ({read} (local.get $p){ends})) ({read} (local.get $q){ends})))").expect("to a string");
        }
    }
    text.push(')');
    let outcomes = compare(&text, 0..5);
    assert!(outcomes.iter().any(|o| o.contains("NullStructureReference")));
    assert!(outcomes.iter().any(|o| o.contains("NullI31Reference")));
}

#[test]
fn arrays_of_all_kinds_and_lengths() {
    let kinds = [
        ("i8", "i32.const 77", "i64.extend_i32_s (array.get_s"),
        ("i8", "i32.const 200", "i64.extend_i32_s (array.get_u"),
        ("i16", "i32.const -2", "i64.extend_i32_s (array.get_s"),
        ("i16", "i32.const -2", "i64.extend_i32_s (array.get_u"),
        ("i32", "i32.const -3", "i64.extend_i32_s (array.get"),
        ("i64", "i64.const -4", "i64.add (i64.const 1) (array.get"),
        ("f32", "f32.const 5", "i64.trunc_f32_s (array.get"),
        ("f64", "f64.const 6", "i64.trunc_f64_s (array.get"),
        ("v128", "v128.const i64x2 7 8", "i64x2.extract_lane 1 (array.get"),
        ("refs", "ref.i31 (i32.const 9)", "i64.extend_i32_s (i31.get_s (ref.cast (ref null i31) (array.get"),
    ];
    let mut text = format!("(module {TYPES}");
    for (i, (kind, value, read)) in kinds.iter().enumerate() {
        let ends = open(read);
        write!(text, "
            ;; Arrays of many lengths one behind the other, each filled to its ends and then read.
            (func (export \"lengths-{i}\") (param $n i32) (result i64) (local $a (ref ${kind})) (local $b (ref ${kind})) (local $i i32)
                (local $sum i64) (local $k i32)
                (local.set $k (i32.mul (local.get $n) (i32.const 13)))
                (loop $more
                    (local.set $a (array.new_default ${kind} (local.get $k)))
                    (local.set $b (array.new ${kind} ({value}) (local.get $k)))
                    (local.set $i (i32.const 0))
                    (loop $each (if (i32.lt_u (local.get $i) (array.len (local.get $a))) (then
                        (array.set ${kind} (local.get $a) (local.get $i) ({value}))
                        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3)) (i64.add
                            ({read} ${kind} (local.get $a) (local.get $i){ends})
                            ({read} ${kind} (local.get $b) (local.get $i){ends}))))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br $each))))
                    (local.set $k (i32.add (local.get $k) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $k) (i32.add (i32.const 13) (i32.mul (local.get $n) (i32.const 13))))))
                (local.get $sum))
            (func (export \"ends-{i}\") (param $n i32) (result i64) (local $a (ref null ${kind}))
                (local.set $a (if (result (ref null ${kind})) (local.get $n)
                    (then (array.new_fixed ${kind} 3 ({value}) ({value}) ({value}))) (else (ref.null ${kind}))))
                (array.fill ${kind} (local.get $a) (i32.const 1) ({value}) (i32.sub (local.get $n) (i32.const 1)))
                (array.copy ${kind} ${kind} (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) (i32.const 2))
                (array.set ${kind} (local.get $a) (local.get $n) ({value}))
                ({read} ${kind} (local.get $a) (i32.const 2){ends}))
            (func (export \"read-{i}\") (param $n i32) (result i64)
                ({read} ${kind} (array.new ${kind} ({value}) (i32.const 2)) (local.get $n){ends}))").expect("to a string");
    }
    write!(text, "
        (func (export \"length\") (param $n i32) (result i64) (i64.extend_i32_u (array.len
            (if (result (ref null $i8)) (local.get $n) (then (array.new_default $i8 (i32.mul (local.get $n) (i32.const 5000)))) (else (ref.null $i8))))))
        (func (export \"data\") (param $n i32) (result i64) (local $a (ref $i32))
            (local.set $a (array.new_data $i32 $data (i32.const 2) (i32.mul (local.get $n) (i32.const 3))))
            (array.init_data $i32 $data (local.get $a) (i32.const 1) (local.get $n) (i32.const 2))
            (i64.extend_i32_u (array.get $i32 (local.get $a) (i32.const 2))))
        (func (export \"elem\") (param $n i32) (result i64) (local $a (ref $refs))
            (local.set $a (array.new_elem $refs $elem (i32.const 1) (local.get $n)))
            (array.init_elem $refs $elem (local.get $a) (i32.const 0) (local.get $n) (i32.const 1))
            (struct.get $a 0 (ref.cast (ref null $a) (array.get $refs (local.get $a) (i32.const 0))))
            (i64.extend_i32_u))
        (func (export \"null\") (param $n i32) (result i64)
            (array.init_data $i8 $data (ref.null $i8) (i32.const 0) (local.get $n) (i32.const 0)) (i64.const 0))
        (func (export \"endless\") (param $n i32) (result i64)
            (i64.extend_i32_u (array.len (array.new_default $v128 (i32.const -1))))))").expect("to a string");
    let outcomes = compare(&text, 0..5);
    for kind in ["NullArrayReference", "ArrayOutOfBounds", "MemoryOutOfBounds", "TableOutOfBounds", "HeapExhausted"] {
        assert!(outcomes.iter().any(|o| o.contains(kind)), "{kind}");
    }
}

#[test]
fn objects_are_kept_by_accesses_that_are_yet_to_come() {
    // The array is only needed for its elements behind the allocations, at indices that could be added to its address before.
    let text = format!("(module {TYPES}
        (func $garbage (param $n i32) (loop $more
            (drop (array.new $i64 (i64.const -1) (i32.const 8)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func (export \"elements\") (param $n i32) (result i64) (local $i i32) (local $sum i64) (local $a (ref null $i64))
            (local.set $a (array.new $i64 (i64.const 5) (i32.const 8)))
            (drop (array.get $i64 (local.get $a) (local.get $n)))
            (loop $more
                (call $garbage (i32.const 50))
                (array.set $i64 (local.get $a) (local.get $n) (i64.add (i64.const 1) (array.get $i64 (local.get $a) (local.get $n))))
                (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30))))
            (array.get $i64 (local.get $a) (local.get $n)))
        (func (export \"inline\") (param $n i32) (result i64) (local $i i32) (local $a (ref null $i64)) (local $b (ref null $b))
            (local.set $a (array.new $i64 (i64.const 5) (i32.const 8)))
            (loop $more
                (local.set $b (struct.new $b (local.get $i) (array.get $i64 (local.get $a) (local.get $n))))
                (array.set $i64 (local.get $a) (local.get $n) (i64.add (struct.get $b 1 (local.get $b)) (i64.const 3)))
                (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000))))
            (i64.add (array.get $i64 (local.get $a) (local.get $n)) (struct.get $b 1 (local.get $b)))))");
    let outcomes = compare(&text, 0..9);
    assert_eq!(outcomes[0], "elements(0): 35");
}
