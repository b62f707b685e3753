(module
  (import "" "f" (func $f))
  (memory 1)
  (global $sp (mut i32) (i32.const 1024))
  (global $other (mut i32) (i32.const 0))
  ;; Loaded once, stored and known, apart from each other, and forgotten.
  (func (param $p i32) (param $q i32) (result i32)
    (i32.store offset=4 (local.get $p) (i32.load (local.get $p)))
    (i32.store8 offset=8 (local.get $p) (local.get $q))
    (drop (i32.load (local.get $p)))
    (drop (i32.load8_s offset=8 (local.get $p)))
    (i32.store (local.get $q) (i32.const 0))
    (i32.load (local.get $p)))
  ;; The stack pointer.
  (func (result i32)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
    (global.set $other (global.get $sp))
    (i32.store (global.get $sp) (i32.const 7))
    (call $f)
    (global.set $sp (i32.add (global.get $sp) (i32.const 16)))
    (global.get $sp)))

;; func (i32, i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;;   v2:i32 = load v0 @41
;;   v3 = store v0, v2, #4 @44
;;   v4 = store.8_u v0, v1, #8 @4b
;; ~ v6:i32 = iconst #0
;;   v7 = store v1, v6 @5e
;;   v8:i32 = load v0 @63
;;   v9 = return v8 @66
;; }
;; func () -> (i32) {
;; block0:
;; ~ v0:i64 = ctx
;;   v1:i32 = pload/global v0, #112 @69
;; ~ v3:i32 = iconst #-16
;; ~ v4:i32 = add v1, v3 @6d
;;   v5 = pstore/global v0, v4, #112 @6e
;;   v6 = pstore/global v0, v4, #128 @72
;; ~ v7:i32 = iconst #7
;;   v8 = store v4, v7 @78
;; ~ v9:i64 = cload v0, #24 @7b
;; ~ v10:i64 = cload v9 @7b
;;   v11 = call_far v10, #2078105388 @7b
;;   v12:i32 = pload/global v0, #112 @7d
;; ~ v2:i32 = iconst #16
;; ~ v13:i32 = add v12, v2 @81
;;   v14 = pstore/global v0, v13, #112 @82
;;   v15 = return v13 @86
;; }
