;; loop 0 passes
(module
  (func (param $n i32) (param $f f64) (result f64) (local $i i32)
    (local.set $i (i32.const 3))
    (f64.const 2)
    (loop
      (local.set $f (f64.mul (local.get $f) (local.get $f)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (f64.add (local.get $f))))

;; func (i64) -> (f64) {
;; block0:
;;   v0:i64 = arg #0 @29
;;   v1:f64 = pload/other v0, #32 @29
;;   v2:i32 = pload/other v0 @29
;;   v3:f64 = pload/other v0, #8 @29
;;   v4:i32 = pload/other v0, #24 @29
;;   v7 = jump block1(v3, v4) @29
;; block1(v5:f64, v6:i32):
;; ~ v9:i32 = iconst #1
;; ~ v10:i32 = add v6, v9 @36
;; ~ v11:i32 = icmp.gt_u v2, v10 @3b
;;   v12 = br_if v11, block2, block3 @3c
;; block2:
;; ~ v20:i32 = iconst #2
;; ~ v21:i32 = add v6, v20 @36
;; ~ v22:i32 = icmp.gt_u v2, v21 @3b
;;   v23 = br_if v22, block6, block7 @3c
;; block3:
;;   v19 = jump block4(v5)
;; block4(v16:f64):
;; ~ v17:f64 = fmul v16, v16 @2f
;; ~ v18:f64 = fadd v1, v17 @41
;;   v15 = return v18 @42
;; block6:
;; ~ v27:i32 = iconst #3
;; ~ v28:i32 = add v6, v27 @36
;; ~ v29:i32 = icmp.gt_u v2, v28 @3b
;;   v30 = br_if v29, block9, block10 @3c
;; block7:
;; ~ v8:f64 = fmul v5, v5 @2f
;;   v24 = jump block4(v8) @3c
;; block9:
;; ~ v34:i32 = iconst #4
;; ~ v35:i32 = add v6, v34 @36
;; ~ v36:i32 = icmp.gt_u v2, v35 @3b
;;   v37 = br_if v36, block12, block13 @3c
;; block10:
;; ~ v25:f64 = fmul v8, v8 @2f
;;   v31 = jump block4(v25) @3c
;; block12:
;; ~ v33:f64 = fmul v25, v25 @2f
;; ~ v40:f64 = fmul v33, v33 @2f
;;   v39 = jump block1(v40, v35) @3c
;; block13:
;;   v38 = jump block4(v33) @3c
;; }
