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
    end))

;; func (i32) -> (i32) {
;; block0 cold:
;;   v0:i32 = arg #0
;;   v1 = trap.Unreachable @2a
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call.catches v0, #0 @32
;;   v2 = catch_edge block1, block2 @32
;; block1 cold:
;; ~ v3:i64 = ctx
;;   v4:i64 = pload/other v3, #96 @32
;; ~ v5:i64 = iconst #0
;;   v6 = pstore/other v3, v5, #96 @32
;;   v7:i64 = helper/ExceptionIs v4, v5 @32
;; ~ v8:i32 = icmp.ne v7, v5 @32
;;   v9 = br_if v8, block3, block4 @32
;; block2:
;;   v32 = jump block9(v1) @48
;; block3:
;;   v10:i64 = helper/ExceptionValue v4, v5 @32
;; ~ v12:i64 = iconst #1
;;   v13 = helper/ExceptionCaught v4, v12 @32
;; ~ v11:i32 = wrap v10 @32
;; ~ v15:i32 = iconst #1
;; ~ v16:i32 = add v11, v15 @38
;;   v33 = jump block9(v16) @48
;; block4:
;;   v14 = helper/ExceptionCaught v4, v12 @32
;; ~ v17:i32 = iconst #5
;;   v18:i32 = call.catches v17, #0 @3e
;;   v19 = catch_edge block5, block6 @3e
;; block5 cold:
;;   v20:i64 = pload/other v3, #96 @3e
;;   v21 = pstore/other v3, v5, #96 @3e
;;   v22:i64 = helper/ExceptionIs v20, v12 @3e
;; ~ v23:i32 = icmp.ne v22, v5 @3e
;;   v24 = br_if v23, block7, block8 @3e
;; block6:
;; ~ v30:i32 = iconst #7
;;   v34 = jump block9(v30) @48
;; block7 cold:
;;   v25 = helper/ExceptionCaught v20, v5 @3e
;;   v28:i64 = helper/ThrowRef v4 @43
;;   v29 = trap.Unreachable @43
;; block8 cold:
;;   v26:i64 = helper/ThrowRef v20 @3e
;;   v27 = trap.Unreachable @3e
;; block9(v31:i32):
;;   v35 = return v31 @49
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call.catches v0, #0 @54
;;   v2 = catch_edge block1, block2 @54
;; block1 cold:
;; ~ v3:i64 = ctx
;;   v4:i64 = pload/other v3, #96 @54
;; ~ v5:i64 = iconst #0
;;   v6 = pstore/other v3, v5, #96 @54
;; ~ v7:i64 = iconst #1
;;   v8:i64 = helper/ExceptionIs v4, v7 @54
;; ~ v9:i32 = icmp.ne v8, v5 @54
;;   v10 = br_if v9, block3, block4 @54
;; block2:
;;   v16 = jump block5(v1) @60
;; block3:
;;   v11 = helper/ExceptionCaught v4, v5 @54
;; ~ v14:i32 = iconst #4
;;   v17 = jump block5(v14) @60
;; block4 cold:
;;   v12:i64 = helper/ThrowRef v4 @54
;;   v13 = trap.Unreachable @54
;; block5(v15:i32):
;;   v18 = return v15 @61
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call v0, #0 @6a
;;   v2 = return v1 @72
;; }
