;; Behind a call in a `try_table` is an edge to where its clauses are tried; a call elsewhere has none.
(module
  (tag $e (param i32))
  (func $f (param i32) (result i32 i32) unreachable)
  (func (param i32) (result i32) (local i32)
    (local.set 1 (i32.mul (local.get 0) (i32.const 3)))
    (block $h (result i32)
      (try_table (catch $e $h) (call $f (local.get 0)) (i32.add) (return))
      unreachable)
    (i32.add (local.get 1)))
  (func (param i32) (result i32) (call $f (local.get 0)) (i32.add)))

;; func (i32) -> (i32, i32) {
;; block0 cold:
;;   v0:i32 = arg #0
;;   v1 = trap.Unreachable @2a
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v4:i32 = call.catches v0, #0 @41
;;   v5:i32 = proj v4, #1 @41
;;   v6 = catch_edge block1, block2 @41
;; block1 cold:
;; ~ v7:i64 = ctx
;;   v8:i64 = pload/other v7, #96 @41
;; ~ v9:i64 = iconst #0
;;   v10 = pstore/other v7, v9, #96 @41
;;   v11:i64 = helper/ExceptionIs v8, v9 @41
;; ~ v12:i32 = icmp.ne v11, v9 @41
;;   v13 = br_if v12, block3, block4 @41
;; block2:
;; ~ v19:i32 = add v4, v5 @43
;;   v20 = return v19 @44
;; block3:
;;   v14:i64 = helper/ExceptionValue v8, v9 @41
;;   v16 = helper/ExceptionCaught v8, v9 @41
;; ~ v2:i32 = iconst #3
;; ~ v3:i32 = mul v0, v2 @34
;; ~ v15:i32 = wrap v14 @41
;; ~ v21:i32 = add v3, v15 @4a
;;   v22 = return v21 @4b
;; block4 cold:
;;   v17:i64 = helper/ThrowRef v8 @41
;;   v18 = trap.Unreachable @41
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call v0, #0 @50
;;   v2:i32 = proj v1, #1 @50
;; ~ v3:i32 = add v1, v2 @52
;;   v4 = return v3 @53
;; }
