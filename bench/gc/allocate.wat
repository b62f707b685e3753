;; Many short-lived structs: points that are made, added up and forgotten, one in 1,024 of them kept for a while.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "allocate ")
  (type $point (struct (field $x f64) (field $y f64)))
  (type $kept (array (mut (ref null $point))))
  (global $kept (ref $kept) (array.new_default $kept (i32.const 1024)))
  (global $last (mut (ref null $point)) (ref.null $point))

  (func $add (param $a (ref $point)) (param $b (ref $point)) (result (ref $point))
    (struct.new $point
      (f64.add (struct.get $point $x (local.get $a)) (struct.get $point $x (local.get $b)))
      (f64.add (struct.get $point $y (local.get $a)) (struct.get $point $y (local.get $b)))))
  (func $scale (param $a (ref $point)) (param $f f64) (result (ref $point))
    (struct.new $point
      (f64.mul (struct.get $point $x (local.get $a)) (local.get $f))
      (f64.mul (struct.get $point $y (local.get $a)) (local.get $f))))

  (func $run (param $n i32) (result i64) (local $i i32) (local $p (ref $point)) (local $sum f64)
    (local.set $p (struct.new $point (f64.const 1) (f64.const 2)))
    (loop $more
      (local.set $p (call $scale
        (call $add (local.get $p) (struct.new $point (f64.convert_i32_u (local.get $i)) (f64.const 3)))
        (f64.const 0.5)))
      (global.set $last (local.get $p))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 1023))) (then
        (array.set $kept (global.get $kept) (i32.and (i32.shr_u (local.get $i) (i32.const 10)) (i32.const 1023))
          (local.get $p))
        (local.set $sum (f64.add (local.get $sum) (struct.get $point $x (local.get $p))))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i64.trunc_f64_s (f64.add (local.get $sum) (struct.get $point $y (local.get $p)))))

  (func $main (result i64) (call $run (i32.mul (i32.const 4000000) (call $scale_of))))
  ;; 8 when the first argument begins with `l`, for "large", else 1: the scales of the kernels.
  (func $scale_of (result i32)
    (drop (call $args_get (i32.const 256) (i32.const 512)))
    (select (i32.const 8) (i32.const 1)
      (i32.eq (i32.load8_u (i32.load (i32.const 260))) (i32.const 108))))
  ;; Prints the name and the sum.
  (func (export "_start") (local $v i64) (local $at i32)
    (local.set $v (call $main))
    (local.set $at (i32.const 64))
    (loop $name
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $name (i32.ne (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 32))))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.sub (i32.add (local.get $at) (i32.const 17)) (i32.const 64)))
    (i32.store8 offset=16 (local.get $at) (i32.const 10))
    (loop $digit
      (i32.store8 (local.get $at) (i32.load8_u offset=128 (i32.wrap_i64 (i64.shr_u (local.get $v) (i64.const 60)))))
      (local.set $v (i64.shl (local.get $v) (i64.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $digit (i32.ne (i32.load8_u (local.get $at)) (i32.const 10))))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (data (i32.const 128) "0123456789abcdef")
)
