(module
  (func (drop (ref.i31 (i32.const 1)))))

;; not compiled: garbage collection (at offset 0x19)
