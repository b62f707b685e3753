;; Products of 64 by 64 bits, made of halves as `__multi3` does it; then with a constant; then sums that only look like it.
(module
  (func (param i64 i64) (result i64 i64) (local $t i64) (local $u i64)
    (local.set $t (i64.add
      (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.and (local.get 1) (i64.const 0xffffffff)))
      (i64.shr_u (i64.mul (i64.and (local.get 0) (i64.const 0xffffffff)) (i64.and (local.get 1) (i64.const 0xffffffff)))
        (i64.const 32))))
    (local.set $u (i64.add
      (i64.mul (i64.and (local.get 0) (i64.const 0xffffffff)) (i64.shr_u (local.get 1) (i64.const 32)))
      (i64.and (local.get $t) (i64.const 0xffffffff))))
    (i64.or (i64.shl (local.get $u) (i64.const 32))
      (i64.and (i64.mul (local.get 0) (local.get 1)) (i64.const 0xffffffff)))
    (i64.add (i64.shr_u (local.get $u) (i64.const 32))
      (i64.add (i64.shr_u (local.get $t) (i64.const 32))
        (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.shr_u (local.get 1) (i64.const 32))))))
  (func (param i64) (result i64 i64) (local $t i64) (local $u i64)
    (local.set $t (i64.add
      (i64.mul (i64.and (local.get 0) (i64.const 0xffffffff)) (i64.const 0x9e3779b1))
      (i64.shr_u (i64.mul (i64.and (local.get 0) (i64.const 0xffffffff)) (i64.const 0x85ebca87)) (i64.const 32))))
    (local.set $u (i64.add
      (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.const 0x85ebca87))
      (i64.and (local.get $t) (i64.const 0xffffffff))))
    (i64.add (i64.shl (local.get $u) (i64.const 32))
      (i64.extend_i32_u (i32.mul (i32.wrap_i64 (local.get 0)) (i32.const 0x85ebca87))))
    (i64.add (i64.shr_u (local.get $t) (i64.const 32))
      (i64.add (i64.shr_u (local.get $u) (i64.const 32))
        (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.const 0x9e3779b1)))))
  (func (param i64 i64) (result i64) (local $t i64) (local $u i64)
    (local.set $t (i64.add
      (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.and (local.get 1) (i64.const 0xffffffff)))
      (i64.shr_u (i64.mul (i64.and (local.get 0) (i64.const 0xffffffff)) (i64.and (local.get 1) (i64.const 0xffffffff)))
        (i64.const 32))))
    ;; The same cross product again.
    (local.set $u (i64.add
      (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.and (local.get 1) (i64.const 0xffffffff)))
      (i64.and (local.get $t) (i64.const 0xffffffff))))
    (i64.add (i64.shr_u (local.get $u) (i64.const 32))
      (i64.add (i64.shr_u (local.get $t) (i64.const 32))
        (i64.mul (i64.shr_u (local.get 0) (i64.const 32)) (i64.shr_u (local.get 1) (i64.const 32)))))))

;; func (i64, i64) -> (i64, i64) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i64 = arg #1
;; ~ v20:i64 = mul v0, v1 @78
;; ~ v27:i64 = mulhi_u v0, v1 @97
;;   v28 = return v20, v27 @98
;; }
;; func (i64) -> (i64, i64) {
;; block0:
;;   v0:i64 = arg #0
;; ~ v21:i64 = iconst #-7046029288634856825
;; ~ v22:i64 = mul v0, v21 @eb
;; ~ v27:i64 = mulhi_u v0, v21 @103
;;   v28 = return v22, v27 @104
;; }
;; func (i64, i64) -> (i64) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i64 = arg #1
;; ~ v3:i64 = iconst #32
;; ~ v4:i64 = shr_u v0, v3 @10d
;; ~ v6:i32 = wrap v1 @116
;; ~ v7:i64 = ext_u v6 @116
;; ~ v8:i64 = mul v4, v7 @117
;; ~ v9:i32 = wrap v0 @120
;; ~ v10:i64 = ext_u v9 @120
;; ~ v11:i64 = mul v7, v10 @12a
;; ~ v12:i64 = shr_u v11, v3 @12d
;; ~ v13:i64 = add v8, v12 @12e
;; ~ v14:i32 = wrap v13 @148
;; ~ v15:i64 = ext_u v14 @148
;; ~ v16:i64 = add v8, v15 @149
;; ~ v17:i64 = shr_u v16, v3 @150
;; ~ v18:i64 = shr_u v13, v3 @155
;; ~ v19:i64 = shr_u v1, v3 @15f
;; ~ v20:i64 = mul v4, v19 @160
;; ~ v21:i64 = add v18, v20 @161
;; ~ v22:i64 = add v17, v21 @162
;;   v23 = return v22 @163
;; }
