;; Linked lists that stay alive: queues of which the oldest element goes when a new one comes, and a list that is built, reversed and
;; summed up again and again.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "lists ")
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (type $queue (struct (field $head (mut (ref null $node))) (field $tail (mut (ref null $node)))))

  (func $push (param $q (ref $queue)) (param $v i32) (local $n (ref $node))
    (local.set $n (struct.new $node (local.get $v) (ref.null $node)))
    (if (ref.is_null (struct.get $queue $tail (local.get $q)))
      (then (struct.set $queue $head (local.get $q) (local.get $n)))
      (else (struct.set $node $next (struct.get $queue $tail (local.get $q)) (local.get $n))))
    (struct.set $queue $tail (local.get $q) (local.get $n)))
  (func $pop (param $q (ref $queue)) (result i32) (local $n (ref null $node))
    (local.set $n (struct.get $queue $head (local.get $q)))
    (struct.set $queue $head (local.get $q) (struct.get $node $next (local.get $n)))
    (if (ref.is_null (struct.get $queue $head (local.get $q)))
      (then (struct.set $queue $tail (local.get $q) (ref.null $node))))
    (struct.get $node $value (local.get $n)))

  (func $queues (param $n i32) (result i64) (local $q (ref $queue)) (local $i i32) (local $sum i64)
    (local.set $q (struct.new_default $queue))
    (loop $fill
      (call $push (local.get $q) (local.get $i))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
    (loop $more
      (call $push (local.get $q) (i32.mul (local.get $i) (i32.const 7)))
      (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 1)) (i64.extend_i32_u (call $pop (local.get $q)))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  (func $build (param $n i32) (result (ref null $node)) (local $head (ref null $node))
    (loop $more
      (local.set $head (struct.new $node (local.get $n) (local.get $head)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $head))
  (func $reverse (param $at (ref null $node)) (result (ref null $node)) (local $done (ref null $node)) (local $next (ref null $node))
    (block $end (loop $more
      (br_if $end (ref.is_null (local.get $at)))
      (local.set $next (struct.get $node $next (local.get $at)))
      (struct.set $node $next (local.get $at) (local.get $done))
      (local.set $done (local.get $at))
      (local.set $at (local.get $next))
      (br $more)))
    (local.get $done))
  (func $sum (param $at (ref null $node)) (result i64) (local $sum i64)
    (block $end (loop $more
      (br_if $end (ref.is_null (local.get $at)))
      (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3)) (i64.extend_i32_u (struct.get $node $value (local.get $at)))))
      (local.set $at (struct.get $node $next (local.get $at)))
      (br $more)))
    (local.get $sum))
  (func $lists (param $rounds i32) (result i64) (local $sum i64) (local $l (ref null $node))
    (loop $more
      (local.set $l (call $reverse (call $build (i32.const 200000))))
      (local.set $sum (i64.add (local.get $sum) (call $sum (local.get $l))))
      (br_if $more (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $sum))

  (func $main (result i64)
    (i64.xor
      (call $queues (i32.mul (i32.const 5000000) (call $scale_of)))
      (call $lists (i32.mul (i32.const 25) (call $scale_of)))))
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
