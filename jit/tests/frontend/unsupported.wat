(module
  (func (block (try_table (catch_all 0)))))

;; not compiled: try_table (at offset 0x19)
