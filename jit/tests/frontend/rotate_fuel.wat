;; fuel poll
(module
  (func (param $n i32)
    (block
      (loop
        (br_if 1 (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br 0)))))

;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v2 = poll
;;   v3 = fuel #3 @1a
;;   v4 = poll @1a
;;   v7 = br_if v0, block2, block1 @1f
;; block1:
;;   v19 = jump block6 @2b
;; block2:
;;   v9 = jump block3(v0) @1f
;; block3(v8:i32):
;;   v10 = fuel #5 @1f
;;   v14 = fuel #3 @1a
;;   v15 = poll @1a
;; ~ v12:i32 = iconst #-1
;; ~ v13:i32 = add v8, v12 @25
;;   v17 = br_if v13, block5, block4 @1f
;; block4:
;;   v20 = jump block6 @2b
;; block5:
;;   v18 = jump block3(v13) @28
;; block6:
;;   v22 = return @2c
;; }
