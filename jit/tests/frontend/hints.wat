;; Hints say which way is cold, unless that leads out of an iteration for good.
(module
  (func (param i32) (result i32)
    (block $b
      (@metadata.code.branch_hint "\00") (br_if $b (local.get 0))
      (return (i32.const 1)))
    (i32.const 2))
  (func (param i32) (result i32)
    (block $b
      (@metadata.code.branch_hint "\01") (br_if $b (local.get 0))
      (return (i32.const 1)))
    (i32.const 2))
  (func (param i32) (result i32)
    (@metadata.code.branch_hint "\00")
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))
  (func (param i32) (result i32)
    (@metadata.code.branch_hint "\01")
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))
  (func (param i32) (result i32)
    (block $out
      (loop $l
        (@metadata.code.branch_hint "\00") (br_if $out (local.get 0))
        (@metadata.code.branch_hint "\00")
        (if (i32.eq (local.get 0) (i32.const 7)) (then (br $out)))
        (@metadata.code.branch_hint "\01")
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (i32.const 3)))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @5d
;; block1 cold:
;; ~ v4:i32 = iconst #2
;;   v5 = return v4 @65
;; block2:
;; ~ v2:i32 = iconst #1
;;   v3 = return v2 @61
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @6c
;; block1:
;; ~ v4:i32 = iconst #2
;;   v5 = return v4 @74
;; block2 cold:
;; ~ v2:i32 = iconst #1
;;   v3 = return v2 @70
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @79
;; block1 cold:
;; ~ v2:i32 = iconst #1
;;   v5 = jump block3(v2) @80
;; block2:
;; ~ v3:i32 = iconst #2
;;   v6 = jump block3(v3) @80
;; block3(v4:i32):
;;   v7 = return v4 @81
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @86
;; block1:
;; ~ v2:i32 = iconst #1
;;   v5 = jump block3(v2) @8d
;; block2 cold:
;; ~ v3:i32 = iconst #2
;;   v6 = jump block3(v3) @8d
;; block3(v4:i32):
;;   v7 = return v4 @8e
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @97
;; block1:
;;   v13 = jump block10 @ad
;; block2:
;;   v3 = jump block3(v0) @97
;; block3(v2:i32):
;; ~ v4:i32 = iconst #7
;; ~ v5:i32 = icmp.eq v2, v4 @9d
;;   v6 = br_if v5, block4, block5 @9e
;; block4:
;;   v14 = jump block10 @ad
;; block5:
;; ~ v8:i32 = iconst #-1
;; ~ v9:i32 = add v2, v8 @a7
;;   v10 = br_if v9, block6, block7 @aa
;; block6:
;;   v11 = br_if v9, block8, block9 @97
;; block7:
;;   v16 = jump block10 @ad
;; block8:
;;   v15 = jump block10 @ad
;; block9:
;;   v12 = jump block3(v9) @aa
;; block10:
;; ~ v17:i32 = iconst #3
;;   v18 = return v17 @b0
;; }
