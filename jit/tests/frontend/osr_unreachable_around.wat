;; loop 0
(module
  (func (param $x i32) (result i32)
    (return (i32.const 1))
    (block (param i32 i32) (drop) (drop) (loop (br_if 0 (local.get $x))))
    (i32.xor)))

;; not compiled: entry at an unreachable loop (at offset 0x25)
