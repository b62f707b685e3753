;; loop 1
(module
  (memory 1)
  (func (param $n i32) (result i32) (local $i i32) (local $j i32) (local $sum i32) (local $constant i32)
    (local.set $constant (i32.const 3))
    (loop
      (local.set $j (local.get $n))
      (i32.const 100)
      (loop
        (local.set $sum (i32.add (local.get $sum) (local.get $constant)))
        (br_if 0 (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
      (local.set $sum (i32.add (local.get $sum)))
      (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $sum)))

;; func (i64) -> (i32) {
;; block0:
;;   v0:i64 = arg #0 @24
;;   v1:i32 = pload/other v0 @24
;;   v2:i32 = pload/other v0, #16 @24
;;   v3:i32 = pload/other v0, #32 @24
;;   v4:i32 = pload/other v0, #40 @24
;;   v13:i32 = pload/other v0, #24 @2d
;;   v14:i32 = pload/other v0, #32 @2d
;;   v15:i32 = pload/other v0, #16 @2d
;;   v16:i32 = pload/other v0, #48 @2d
;;   v17 = jump block2(v13, v14, v15, v16) @2d
;; block1(v5:i32, v6:i32):
;; ~ v7:i32 = iconst #100
;;   v12 = jump block2(v1, v5, v6, v7) @2d
;; block2(v8:i32, v9:i32, v10:i32, v11:i32):
;; ~ v20:i32 = iconst #-1
;; ~ v21:i32 = add v8, v20 @3a
;;   v22 = br_if v21, block3, block4 @3d
;; block3:
;; ~ v18:i32 = add v4, v9 @33
;;   v23 = jump block2(v21, v18, v10, v11) @3d
;; block4:
;; ~ v25:i32 = add v10, v20 @49
;;   v26 = br_if v25, block5, block6 @4c
;; block5:
;; ~ v24:i32 = add v11, v18 @42
;;   v27 = jump block1(v24, v25) @4c
;; block6:
;;   v28 = return v24 @51
;; }
