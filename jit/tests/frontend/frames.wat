;; What was stored under one base and is loaded under another: the check, which a second load needs not, nor one that is
;; reached by an access before; and what lies elsewhere.
(module
  (memory 1)
  (func (param i32 i64) (result i64) (local $frame i32)
    (local.set $frame (i32.sub (local.get 0) (i32.const 112)))
    (i64.store offset=8 (i32.add (local.get $frame) (i32.const 96)) (local.get 1))
    (i64.store (i32.add (local.get $frame) (i32.const 96)) (i64.const 5))
    (i64.add (i64.load offset=104 (local.get $frame)) (i64.load offset=96 (local.get $frame))))
  (func (param i32 i64) (result i64) (local $frame i32)
    (local.set $frame (i32.sub (local.get 0) (i32.const 112)))
    (i32.store offset=108 (local.get $frame) (i32.const 0))
    (i64.store (i32.add (local.get $frame) (i32.const 96)) (local.get 1))
    (i64.load offset=96 (local.get $frame)))
  (func (param i32 i64) (result i64)
    (i64.store offset=8 (local.get 0) (local.get 1))
    (i64.load (i32.add (local.get 0) (i32.const 8))))
  (func (param i32 i64) (result i64)
    (i64.store offset=8 (local.get 0) (local.get 1))
    (i64.load (i32.add (local.get 0) (i32.const 9)))))

;; func (i32, i64) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i64 = arg #1
;; ~ v7:i32 = iconst #-16
;; ~ v8:i32 = add v0, v7 @31
;;   v9 = store v8, v1, #8 @34
;; ~ v10:i64 = iconst #5
;;   v11 = store v8, v10 @3f
;; ~ v4:i32 = iconst #-112
;; ~ v5:i32 = add v0, v4 @29
;; ~ v13:i32 = iconst #-105
;; ~ v14:i32 = icmp.gt_u v5, v13 @44
;;   v15 = trap_if.MemoryOutOfBounds v14 @44
;; ~ v16:i64 = add v1, v10 @4c
;;   v17 = return v16 @4d
;; }
;; func (i32, i64) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i64 = arg #1
;; ~ v4:i32 = iconst #-112
;; ~ v5:i32 = add v0, v4 @57
;; ~ v2:i32 = iconst #0
;;   v6 = store v5, v2, #108 @5e
;; ~ v8:i32 = iconst #-16
;; ~ v9:i32 = add v0, v8 @66
;;   v10 = store v9, v1 @69
;;   v11 = return v1 @71
;; }
;; func (i32, i64) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i64 = arg #1
;;   v2 = store v0, v1, #8 @78
;;   v5 = return v1 @83
;; }
;; func (i32, i64) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i64 = arg #1
;;   v2 = store v0, v1, #8 @8a
;; ~ v3:i32 = iconst #9
;; ~ v4:i32 = add v0, v3 @91
;;   v5:i64 = load v4 @92
;;   v6 = return v5 @95
;; }
