(module
  (func try end))

;; not compiled: try (at offset 0x17)
