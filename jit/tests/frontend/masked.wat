;; unguarded mask_memories
(module
  (type $f (func (param i32) (result i32)))
  (memory 1 10)
  (table $t 4 10 funcref)
  (func (param $i i32) (result i32) (call_indirect $t (type $f) (i32.const 7) (local.get $i)))
  (func (result i32) (call_indirect $t (type $f) (i32.const 7) (i32.const 3)))
  (func (param $i i32) (result i32) (i32.add (i32.load offset=8 (local.get $i)) (i32.load (local.get $i))))
  (func (param $i i32) (result i32) (i32.load offset=70000 (local.get $i))))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v3:i64 = ctx
;; ~ v4:i64 = cload v3, #48 @31
;; ~ v5:i64 = cload v4 @31
;;   v6:i64 = pload/table_desc v5, #8 @31
;; ~ v2:i64 = ext_u v0 @31
;; ~ v7:i32 = icmp.ge_u v2, v6 @31
;;   v8 = trap_if.UndefinedElement v7 @31
;;   v9:i64 = pload/table_desc v5 @31
;; ~ v10:i64 = iconst #3
;; ~ v11:i64 = shl v2, v10 @31
;; ~ v12:i64 = add v9, v11 @31
;;   v13:i64 = pload/table v12 @31
;; ~ v14:i64 = iconst #0
;; ~ v15:i64 = select v7, v14, v13 @31
;;   v16:i32 = fload.UninitializedElement v15, #8 @31
;; ~ v17:i32 = type_id #849312324
;; ~ v18:i32 = icmp.ne v16, v17 @31
;;   v19 = trap_if.IndirectCallTypeMismatch v18 @31
;; ~ v1:i32 = iconst #7
;;   v20:i32 = call_near v15, v1, #849312324 @31
;;   v21 = return v20 @34
;; }
;; func () -> (i32) {
;; block0:
;; ~ v3:i64 = ctx
;; ~ v4:i64 = cload v3, #48 @3b
;; ~ v5:i64 = cload v4 @3b
;;   v6:i64 = pload/table_desc v5 @3b
;;   v7:i64 = pload/table v6, #24 @3b
;;   v8:i32 = fload.UninitializedElement v7, #8 @3b
;; ~ v9:i32 = type_id #849312324
;; ~ v10:i32 = icmp.ne v8, v9 @3b
;;   v11 = trap_if.IndirectCallTypeMismatch v10 @3b
;; ~ v0:i32 = iconst #7
;;   v12:i32 = call_near v7, v0, #849312324 @3b
;;   v13 = return v12 @3e
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2, #40 @43
;; ~ v4:i64 = cload v3 @43
;;   v5:i64 = pload/memory_desc v4, #8 @43
;; ~ v1:i64 = ext_u v0 @43
;; ~ v6:i64 = iconst #-12
;; ~ v7:i64 = add v5, v6 @43
;; ~ v8:i32 = icmp.gt_u v1, v7 @43
;;   v9 = trap_if.MemoryOutOfBounds v8 @43
;;   v12:i64 = pload/memory_desc v4 @43
;; ~ v10:i64 = iconst #0
;; ~ v11:i64 = select v8, v10, v1 @43
;; ~ v13:i64 = add v11, v12 @43
;;   v14:i32 = pload/memory v13, #8 @43
;;   v15:i32 = pload/memory v13 @48
;; ~ v16:i32 = add v14, v15 @4b
;;   v17 = return v16 @4c
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2, #40 @51
;; ~ v4:i64 = cload v3 @51
;;   v5:i64 = pload/memory_desc v4, #8 @51
;; ~ v6:i64 = iconst #70004
;; ~ v7:i32 = icmp.lt_u v5, v6 @51
;;   v8 = trap_if.MemoryOutOfBounds v7 @51
;; ~ v1:i64 = ext_u v0 @51
;; ~ v9:i64 = iconst #-70004
;; ~ v10:i64 = add v5, v9 @51
;; ~ v11:i32 = icmp.gt_u v1, v10 @51
;;   v12 = trap_if.MemoryOutOfBounds v11 @51
;;   v18:i64 = pload/memory_desc v4 @51
;; ~ v13:i32 = or v7, v11 @51
;; ~ v16:i64 = iconst #0
;; ~ v14:i64 = iconst #70000
;; ~ v15:i64 = add v1, v14 @51
;; ~ v17:i64 = select v13, v16, v15 @51
;; ~ v19:i64 = add v17, v18 @51
;;   v20:i32 = pload/memory v19 @51
;;   v21 = return v20 @56
;; }
