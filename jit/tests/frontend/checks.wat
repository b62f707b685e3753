;; unguarded
(module
  (memory 1)
  ;; One check for both, no longer one after a larger one; the base again after growth.
  (func (param $p i32) (result i32)
    (i32.store offset=8 (local.get $p) (i32.const 1))
    (i32.store offset=4 (local.get $p) (i32.const 2))
    (drop (memory.grow (i32.const 1)))
    (i32.load offset=8 (local.get $p)))
  ;; Beyond the least size.
  (func (param $p i32) (result i32)
    (i32.load offset=100000 (local.get $p)))
  ;; Constant and within it.
  (func (result i32)
    (i32.load (i32.const 16)))
  ;; Base and length are read ahead of the loop.
  (func (param $p i32)
    (loop
      (i32.store (local.get $p) (i32.const 0))
      (br_if 0 (local.tee $p (i32.sub (local.get $p) (i32.const 4)))))))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v3:i64 = ctx
;; ~ v4:i64 = cload v3, #40 @2d
;; ~ v5:i64 = cload v4 @2d
;;   v6:i64 = pload/memory_desc v5, #8 @2d
;; ~ v2:i64 = ext_u v0 @2d
;; ~ v7:i64 = iconst #-12
;; ~ v8:i64 = add v6, v7 @2d
;; ~ v9:i32 = icmp.gt_u v2, v8 @2d
;;   v10 = trap_if.MemoryOutOfBounds v9 @2d
;;   v11:i64 = pload/memory_desc v5 @2d
;; ~ v12:i64 = add v2, v11 @2d
;; ~ v1:i32 = iconst #1
;;   v13 = pstore/memory v12, v1, #8 @2d
;; ~ v14:i32 = iconst #2
;;   v15 = pstore/memory v12, v14, #4 @34
;; ~ v17:i64 = iconst #0
;; ~ v16:i64 = iconst #1
;;   v18:i64 = helper/MemoryGrow v17, v16 @39
;;   v20:i64 = pload/memory_desc v5 @3e
;; ~ v21:i64 = add v2, v20 @3e
;;   v22:i32 = pload/memory v21, #8 @3e
;;   v23 = return v22 @41
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2, #40 @46
;; ~ v4:i64 = cload v3 @46
;;   v5:i64 = pload/memory_desc v4, #8 @46
;; ~ v6:i64 = iconst #100004
;; ~ v7:i32 = icmp.lt_u v5, v6 @46
;;   v8 = trap_if.MemoryOutOfBounds v7 @46
;; ~ v1:i64 = ext_u v0 @46
;; ~ v9:i64 = iconst #-100004
;; ~ v10:i64 = add v5, v9 @46
;; ~ v11:i32 = icmp.gt_u v1, v10 @46
;;   v12 = trap_if.MemoryOutOfBounds v11 @46
;;   v13:i64 = pload/memory_desc v4 @46
;; ~ v14:i64 = add v1, v13 @46
;;   v15:i32 = pload/memory v14, #100000 @46
;;   v16 = return v15 @4b
;; }
;; func () -> (i32) {
;; block0:
;; ~ v2:i64 = ctx
;; ~ v3:i64 = cload v2, #40 @50
;; ~ v4:i64 = cload v3 @50
;;   v5:i64 = pload/memory_desc v4 @50
;;   v6:i32 = pload/memory v5, #16 @50
;;   v7 = return v6 @53
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i64 = ctx
;; ~ v2:i64 = cload v1, #40 @56
;; ~ v3:i64 = cload v2 @56
;;   v4:i64 = pload/memory_desc v3 @56
;;   v5:i64 = pload/memory_desc v3, #8 @56
;;   v7 = jump block1(v0) @56
;; block1(v6:i32):
;; ~ v9:i64 = ext_u v6 @5c
;; ~ v10:i64 = iconst #-4
;; ~ v11:i64 = add v5, v10 @5c
;; ~ v12:i32 = icmp.gt_u v9, v11 @5c
;;   v13 = trap_if.MemoryOutOfBounds v12 @5c
;; ~ v14:i64 = add v4, v9 @5c
;; ~ v8:i32 = iconst #0
;;   v15 = pstore/memory v14, v8 @5c
;; ~ v17:i32 = iconst #-4
;; ~ v18:i32 = add v6, v17 @63
;;   v19 = br_if v18, block2, block3 @66
;; block2:
;;   v20 = jump block1(v18) @66
;; block3:
;;   v21 = return @69
;; }
