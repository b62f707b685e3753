(module
  (func (param i64 i64 i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1))))

;; func (i64, i64, i64, i64) -> (i64, i64) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i64 = arg #1
;;   v2:i64 = arg #2
;;   v3:i64 = arg #3
;; ~ v4:i64 = add v0, v2 @2d
;; ~ v5:i32 = icmp.gt_u v0, v4 @2d
;; ~ v6:i64 = ext_u v5 @2d
;; ~ v7:i64 = add v1, v3 @2d
;; ~ v8:i64 = add v6, v7 @2d
;;   v9 = return v4, v8 @2f
;; }
;; func (i64, i64) -> (i64, i64) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i64 = arg #1
;; ~ v2:i64 = mul v0, v1 @36
;; ~ v3:i64 = mulhi_s v0, v1 @36
;;   v4 = return v2, v3 @38
;; }
