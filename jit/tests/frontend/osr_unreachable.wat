;; loop 0
(module
  (func (param $x i64) (result i32)
    (return (i32.const 1))
    (block (loop (br_if 0 (i32.const 0))))
    (i32.xor)))

;; not compiled: entry at an unreachable loop (at offset 0x1e)
