;; unguarded
(module
  (memory i64 1)
  (func (param i64) (result i64)
    (i64.load offset=0x1_0000_0000 (local.get 0)))
  (func (param i64) (result i64)
    (i64.load offset=0xffff_ffff_ffff_ffff (local.get 0)))
  (func (result i64)
    (memory.size)))

;; func (i64) -> (i64) {
;; block0:
;;   v0:i64 = arg #0
;; ~ v1:i64 = ctx
;; ~ v2:i64 = cload v1, #40 @26
;; ~ v3:i64 = cload v2 @26
;;   v4:i64 = pload/memory_desc v3, #8 @26
;; ~ v5:i64 = iconst #4294967304
;; ~ v6:i32 = icmp.lt_u v4, v5 @26
;;   v7 = trap_if.MemoryOutOfBounds v6 @26
;; ~ v8:i64 = iconst #-4294967304
;; ~ v9:i64 = add v4, v8 @26
;; ~ v10:i32 = icmp.gt_u v0, v9 @26
;;   v11 = trap_if.MemoryOutOfBounds v10 @26
;;   v12:i64 = pload/memory_desc v3 @26
;; ~ v13:i64 = add v0, v12 @26
;; ~ v14:i64 = iconst #4294967296
;; ~ v15:i64 = add v13, v14 @26
;;   v16:i64 = pload/memory v15 @26
;;   v17 = return v16 @2d
;; }
;; func (i64) -> (i64) {
;; block0:
;;   v0:i64 = arg #0
;; ~ v1:i32 = iconst #1
;;   v2 = trap_if.MemoryOutOfBounds v1 @32
;; ~ v3:i64 = ctx
;; ~ v4:i64 = cload v3, #40 @32
;; ~ v5:i64 = cload v4 @32
;;   v6:i64 = pload/memory_desc v5 @32
;; ~ v7:i64 = add v0, v6 @32
;; ~ v8:i64 = iconst #-1
;; ~ v9:i64 = add v7, v8 @32
;;   v10:i64 = pload/memory v9 @32
;;   v11 = return v10 @3e
;; }
;; func () -> (i64) {
;; block0:
;; ~ v0:i64 = ctx
;; ~ v1:i64 = cload v0, #40 @41
;; ~ v2:i64 = cload v1 @41
;;   v3:i64 = pload/memory_desc v2, #8 @41
;; ~ v4:i64 = iconst #16
;; ~ v5:i64 = shr_u v3, v4 @41
;;   v6 = return v5 @43
;; }
