;; uninlined
(module
  (type $t (func (param i32) (result i32 i64)))
  (type $open (sub (func)))
  (import "" "f" (func $f (param f64)))
  (table $closed 2 2 funcref)
  (table $grows 1 funcref)
  (elem (table $closed) (i32.const 0) func $own)
  (func $own (type $t) (local.get 0) (i64.const 1))
  (func (param i32) (result i64) (local i64)
    (call $f (f64.const 1))
    (call $own (local.get 0))
    (local.set 1)
    (drop)
    (call_indirect $closed (type $t) (i32.const 5) (local.get 0))
    (local.set 1)
    (drop)
    (local.get 1))
  (func (param i32)
    (call_indirect $grows (type $open) (local.get 0)))
  (func (param i32)
    (drop (table.grow $grows (ref.null func) (i32.const 1))))
  (func (param i32) (result i32 i64)
    (return_call_indirect $closed (type $t) (local.get 0) (local.get 0))))

;; func (i32) -> (i32, i64) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i64 = iconst #1
;;   v2 = return v0, v1 @51
;; }
;; func (i32) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v3:i64 = ctx
;; ~ v4:i64 = cload v3, #24 @5f
;; ~ v5:i64 = cload v4 @5f
;; ~ v2:f64 = fconst #0x3ff0000000000000
;;   v6 = call_far v5, v2, #1068958522 @5f
;;   v7:i32 = call v0, #1 @63
;;   v8:i64 = proj v7, #1 @63
;; ~ v13:i32 = iconst #1
;; ~ v14:i32 = icmp.gt_u v0, v13 @6c
;;   v15 = trap_if.UndefinedElement v14 @6c
;; ~ v16:i64 = cload v3, #48 @6c
;; ~ v17:i64 = cload v16 @6c
;; ~ v18:i64 = cload v17 @6c
;; ~ v10:i64 = ext_u v0 @6c
;; ~ v19:i64 = iconst #3
;; ~ v20:i64 = shl v10, v19 @6c
;; ~ v21:i64 = add v18, v20 @6c
;;   v22:i64 = pload/table v21 @6c
;; ~ v1:i64 = iconst #0
;; ~ v23:i64 = select v14, v1, v22 @6c
;;   v24:i32 = fload.UninitializedElement v23, #8 @6c
;; ~ v25:i32 = type_id #1330122630
;; ~ v26:i32 = icmp.ne v24, v25 @6c
;;   v27 = trap_if.IndirectCallTypeMismatch v26 @6c
;; ~ v9:i32 = iconst #5
;;   v28:i32 = call_near v23, v9, #1330122630 @6c
;;   v29:i64 = proj v28, #1 @6c
;;   v30 = return v29 @74
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2, #48 @79
;; ~ v4:i64 = cload v3, #8 @79
;;   v5:i64 = pload/table_desc v4, #8 @79
;; ~ v1:i64 = ext_u v0 @79
;; ~ v6:i32 = icmp.ge_u v1, v5 @79
;;   v7 = trap_if.UndefinedElement v6 @79
;;   v8:i64 = pload/table_desc v4 @79
;; ~ v9:i64 = iconst #3
;; ~ v10:i64 = shl v1, v9 @79
;; ~ v11:i64 = add v8, v10 @79
;;   v12:i64 = pload/table v11 @79
;; ~ v13:i64 = iconst #0
;; ~ v14:i64 = select v6, v13, v12 @79
;;   v15:i32 = fload.UninitializedElement v14, #8 @79
;; ~ v16:i32 = type_id #1329487873
;; ~ v17:i32 = icmp.ne v15, v16 @79
;;   v18 = br_if v17, block1, block2 @79
;; block1 cold:
;; ~ v19:i64 = type_id #1329487873
;;   v20:i64 = helper/FuncRefIs v14, v19 @79
;; ~ v21:i32 = icmp.eq v20, v13 @79
;;   v22 = trap_if.IndirectCallTypeMismatch v21 @79
;;   v23 = jump block3 @79
;; block2:
;;   v24 = jump block3 @79
;; block3:
;;   v25 = call_any v14, #1329487873 @79
;;   v26 = return @7c
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;; ~ v3:i64 = iconst #1
;; ~ v1:i64 = iconst #0
;;   v4:i64 = helper/TableGrow v3, v3, v1 @83
;;   v6 = return @87
;; }
;; func (i32) -> (i32, i64) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v4:i32 = iconst #1
;; ~ v5:i32 = icmp.gt_u v0, v4 @8e
;;   v6 = trap_if.UndefinedElement v5 @8e
;; ~ v7:i64 = ctx
;; ~ v8:i64 = cload v7, #48 @8e
;; ~ v9:i64 = cload v8 @8e
;; ~ v10:i64 = cload v9 @8e
;; ~ v1:i64 = ext_u v0 @8e
;; ~ v11:i64 = iconst #3
;; ~ v12:i64 = shl v1, v11 @8e
;; ~ v13:i64 = add v10, v12 @8e
;;   v14:i64 = pload/table v13 @8e
;; ~ v15:i64 = iconst #0
;; ~ v16:i64 = select v5, v15, v14 @8e
;;   v17:i32 = fload.UninitializedElement v16, #8 @8e
;; ~ v18:i32 = type_id #1330122630
;; ~ v19:i32 = icmp.ne v17, v18 @8e
;;   v20 = trap_if.IndirectCallTypeMismatch v19 @8e
;;   v21 = tail_call_near v16, v0, #1330122630 @8e
;; }
