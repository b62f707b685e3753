(module
  (memory 1)
  ;; The test at the top goes to the bottom.
  (func (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (block
      (loop
        (br_if 1 (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (i32.load (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br 0)))
    (local.get $sum))
  ;; As AssemblyScript and Binaryen write it.
  (func (param $n i32) (local $i i32)
    (loop
      (if (i32.lt_s (local.get $i) (local.get $n))
        (then
          (i32.store8 (local.get $i) (i32.const 0))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br 1)))))
  ;; At the bottom already.
  (func (param $n i32)
    (loop
      (i32.store (local.get $n) (local.get $n))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 4)))))))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v3 = br_if v0, block2, block1 @2f
;; block1:
;; ~ v1:i32 = iconst #0
;;   v17 = jump block6(v1) @48
;; block2:
;;   v6 = jump block3(v1, v1) @2f
;; block3(v4:i32, v5:i32):
;; ~ v7:i32 = iconst #2
;; ~ v8:i32 = shl v5, v7 @37
;;   v9:i32 = load v8 @38
;; ~ v11:i32 = iconst #1
;; ~ v12:i32 = add v5, v11 @42
;; ~ v13:i32 = icmp.le_u v0, v12 @2e
;;   v14 = br_if v13, block4, block5 @2f
;; block4:
;; ~ v10:i32 = add v4, v9 @3b
;;   v18 = jump block6(v10) @48
;; block5:
;;   v15 = jump block3(v10, v12) @45
;; block6(v16:i32):
;;   v19 = return v16 @4b
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #0
;; ~ v2:i32 = icmp.gt_s v0, v1 @56
;;   v3 = br_if v2, block1, block2 @57
;; block1:
;;   v5 = jump block3(v1) @57
;; block2:
;;   v14 = jump block6(v1) @69
;; block3(v4:i32):
;;   v6 = store.8_u v4, v1 @5d
;; ~ v7:i32 = iconst #1
;; ~ v8:i32 = add v4, v7 @64
;; ~ v9:i32 = icmp.gt_s v0, v8 @56
;;   v10 = br_if v9, block4, block5 @57
;; block4:
;;   v11 = jump block3(v8) @67
;; block5:
;;   v13 = jump block6(v8) @69
;; block6(v12:i32):
;;   v15 = return @6b
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v2 = jump block1(v0) @6e
;; block1(v1:i32):
;;   v3 = store v1, v1 @74
;; ~ v5:i32 = iconst #-4
;; ~ v6:i32 = add v1, v5 @7b
;;   v7 = br_if v6, block2, block3 @7e
;; block2:
;;   v8 = jump block1(v6) @7e
;; block3:
;;   v9 = return @81
;; }
