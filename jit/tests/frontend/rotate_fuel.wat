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
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2
;;   v4:i64 = pload/other v3, #8
;;   v5:i64 = fuel v4, #0
;;   v6 = poll
;;   v7:i64 = fuel v5, #3 @1a
;;   v8 = poll @1a
;;   v11 = br_if v0, block2, block1 @1f
;; block1:
;;   v25 = jump block6(v7) @2b
;; block2:
;;   v14 = jump block3(v0, v7) @1f
;; block3(v12:i32, v13:i64):
;;   v15:i64 = fuel v13, #5 @1f
;;   v19:i64 = fuel v15, #3 @28
;;   v20 = poll @28
;; ~ v17:i32 = iconst #-1
;; ~ v18:i32 = add v12, v17 @25
;;   v22 = br_if v18, block5, block4 @1f
;; block4:
;;   v26 = jump block6(v19) @2b
;; block5:
;;   v23 = jump block3(v18, v19) @28
;; block6(v24:i64):
;;   v27:i64 = fuel v24, #0 @2b
;;   v28 = return @2c
;; }
