(module
  (memory 1 1 shared)
  (func (param i32 i32) (result i32) (i32.atomic.rmw8.cmpxchg_u (local.get 0) (i32.const 3) (local.get 1)))
  (func (param i32 i32) (result i32) (i32.atomic.rmw16.cmpxchg_u (local.get 0) (local.get 1) (local.get 1)))
  (func (param i32) (result i64) (i64.atomic.rmw.add offset=8 (local.get 0) (i64.const 1)))
  (func (param i32) (result i32)
    (drop (i32.load (local.get 0)))
    (atomic.fence)
    (i32.load (local.get 0))))

;; func (i32, i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;; ~ v3:i64 = membase
;; ~ v4:i64 = ext_u v0 @33
;; ~ v5:i64 = add v3, v4 @33
;; ~ v2:i32 = iconst #3
;;   v6:i32 = atomic_cas.8_u v5, v2, v1 @33
;;   v7 = return v6 @37
;; }
;; func (i32, i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;; ~ v5:i32 = iconst #1
;; ~ v6:i32 = and v0, v5 @40
;;   v8 = trap_if.UnalignedAtomic v6 @40
;; ~ v2:i64 = ext_u v0 @40
;; ~ v9:i64 = membase
;; ~ v10:i64 = add v2, v9 @40
;;   v11:i32 = atomic_cas.16_u v10, v1, v1 @40
;;   v12 = return v11 @44
;; }
;; func (i32) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v6:i32 = iconst #7
;; ~ v7:i32 = and v0, v6 @4b
;;   v9 = trap_if.UnalignedAtomic v7 @4b
;; ~ v2:i64 = ext_u v0 @4b
;; ~ v10:i64 = membase
;; ~ v11:i64 = add v2, v10 @4b
;; ~ v1:i64 = iconst #1
;;   v12:i64 = atomic_rmw/add v11, v1, #8 @4b
;;   v13 = return v12 @4f
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = load v0 @54
;;   v2 = fence @58
;;   v3:i32 = load v0 @5d
;;   v4 = return v3 @60
;; }
