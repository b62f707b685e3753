;; Clauses of a legacy `try` follow its body; a `delegate` leaves out those between.
(module
  (tag $e (param i32))
  (tag $n)
  (func $f (param i32) (result i32) unreachable)
  (func (param i32) (result i32)
    try (result i32)
      (call $f (local.get 0))
    catch $e
      (i32.add (i32.const 1))
    catch_all
      try
        (drop (call $f (i32.const 5)))
      catch $n
        rethrow 1
      end
      (i32.const 7)
    end)
  (func (param i32) (result i32)
    try $outer (result i32)
      try (result i32)
        try (result i32)
          (call $f (local.get 0))
        delegate $outer
      catch_all
        (i32.const 3)
      end
    catch $n
      (i32.const 4)
    end)
  (func (param i32) (result i32)
    try (result i32)
      try (result i32)
        (call $f (local.get 0))
      delegate 1
    catch_all
      (i32.const 3)
    end)
  ;; Built in in a clause, with labels of its own.
  (func $small (param i32) (result i32)
    (block $b (result i32)
      (br_if $b (local.get 0) (i32.eqz (local.get 0)))
      (return (i32.const 7))))
  (func (param i32) (result i32)
    try (result i32)
      (drop (call $f (local.get 0)))
      (local.get 0)
    catch_all
      (call $small (local.get 0))
    end))

;; func (i32) -> (i32) {
;; block0 cold:
;;   v0:i32 = arg #0
;;   v1 = trap.Unreachable @2c
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call.catches v0, #0 @34
;;   v2 = catch_edge block1, block2 @34
;; block1 cold:
;; ~ v3:i64 = ctx
;;   v4:i64 = pload/other v3, #96 @34
;; ~ v5:i64 = iconst #0
;;   v6 = pstore/other v3, v5, #96 @34
;;   v7:i64 = helper/ExceptionIs v4, v5 @34
;; ~ v8:i32 = icmp.ne v7, v5 @34
;;   v9 = br_if v8, block3, block4 @34
;; block2:
;;   v32 = jump block9(v1) @4a
;; block3:
;;   v10:i64 = helper/ExceptionValue v4, v5 @34
;; ~ v12:i64 = iconst #1
;;   v13 = helper/ExceptionCaught v4, v12 @34
;; ~ v11:i32 = wrap v10 @34
;; ~ v15:i32 = iconst #1
;; ~ v16:i32 = add v11, v15 @3a
;;   v33 = jump block9(v16) @4a
;; block4:
;;   v14 = helper/ExceptionCaught v4, v12 @34
;; ~ v17:i32 = iconst #5
;;   v18:i32 = call.catches v17, #0 @40
;;   v19 = catch_edge block5, block6 @40
;; block5 cold:
;;   v20:i64 = pload/other v3, #96 @40
;;   v21 = pstore/other v3, v5, #96 @40
;;   v22:i64 = helper/ExceptionIs v20, v12 @40
;; ~ v23:i32 = icmp.ne v22, v5 @40
;;   v24 = br_if v23, block7, block8 @40
;; block6:
;; ~ v30:i32 = iconst #7
;;   v34 = jump block9(v30) @4a
;; block7 cold:
;;   v25 = helper/ExceptionCaught v20, v5 @40
;;   v28:i64 = helper/ThrowRef v4 @45
;;   v29 = trap.Unreachable @45
;; block8 cold:
;;   v26:i64 = helper/ThrowRef v20 @40
;;   v27 = trap.Unreachable @40
;; block9(v31:i32):
;;   v35 = return v31 @4b
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call.catches v0, #0 @56
;;   v2 = catch_edge block1, block2 @56
;; block1 cold:
;; ~ v3:i64 = ctx
;;   v4:i64 = pload/other v3, #96 @56
;; ~ v5:i64 = iconst #0
;;   v6 = pstore/other v3, v5, #96 @56
;; ~ v7:i64 = iconst #1
;;   v8:i64 = helper/ExceptionIs v4, v7 @56
;; ~ v9:i32 = icmp.ne v8, v5 @56
;;   v10 = br_if v9, block3, block4 @56
;; block2:
;;   v16 = jump block5(v1) @62
;; block3:
;;   v11 = helper/ExceptionCaught v4, v5 @56
;; ~ v14:i32 = iconst #4
;;   v17 = jump block5(v14) @62
;; block4 cold:
;;   v12:i64 = helper/ThrowRef v4 @56
;;   v13 = trap.Unreachable @56
;; block5(v15:i32):
;;   v18 = return v15 @63
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call v0, #0 @6c
;;   v2 = return v1 @74
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v3 = br_if v0, block2, block1 @7e
;; block1:
;;   v6 = return v0 @84
;; block2:
;; ~ v4:i32 = iconst #7
;;   v5 = return v4 @82
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call.catches v0, #0 @8b
;;   v2 = catch_edge block1, block2 @8b
;; block1 cold:
;; ~ v3:i64 = ctx
;;   v4:i64 = pload/other v3, #96 @8b
;; ~ v5:i64 = iconst #0
;;   v6 = pstore/other v3, v5, #96 @8b
;;   v7 = helper/ExceptionCaught v4, v5 @8b
;;   v10 = br_if v0, block4, block3 @7e/4<93
;; block2:
;;   v16 = jump block6(v0) @95
;; block3:
;;   v14 = jump block5(v0) @84/4<93
;; block4:
;; ~ v11:i32 = iconst #7
;;   v13 = jump block5(v11) @84/4<93
;; block5(v12:i32):
;;   v17 = jump block6(v12) @95
;; block6(v15:i32):
;;   v18 = return v15 @96
;; }
