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
;; ~ v8:f64 = fmul v5, v5 @2f
;;   v13 = jump block1(v8, v10) @3c
;; block3:
;; ~ v14:f64 = fadd v1, v8 @41
;;   v15 = return v14 @42
;; }
