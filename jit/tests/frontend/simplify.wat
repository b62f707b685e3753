(module
  (memory 1)
  (func (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 10)))
  (func (param i32) (result i32) (i32.rem_s (local.get 0) (i32.const 8)))
  (func (param i64) (result i64) (i64.div_s (local.get 0) (i64.const 7)))
  (func (param i32) (result i32) (i32.div_s (local.get 0) (i32.const -1)))
  (func (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 0)))
  (func (param i32) (result i32) (i32.shr_s (i32.shl (local.get 0) (i32.const 24)) (i32.const 24)))
  (func (param i32) (result i32) (i32.eqz (i32.eqz (i32.lt_s (local.get 0) (i32.const 5)))))
  (func (param i32) (result i32) (i32.and (i32.load8_u (local.get 0)) (i32.const 255)))
  (func (param i32) (result i32)
    (i32.or (i32.shl (local.get 0) (i32.const 7)) (i32.shr_u (local.get 0) (i32.const 25))))
  (func (param i32 i32) (result i32)
    (i32.wrap_i64 (i64.mul (i64.extend_i32_u (local.get 0)) (i64.extend_i32_s (local.get 1)))))
  (func (param i32) (result i32) (i32.ne (i32.and (local.get 0) (i32.const 8)) (i32.const 8)))
  (func (param i32) (result i32) (select (i32.const 1) (i32.const 0) (i32.eqz (local.get 0))))
  (func (param i32) (result i32) (i32.load offset=4 (i32.add (i32.shr_u (local.get 0) (i32.const 4)) (i32.const 16))))
  (func (param i32) (result i32) (i32.load offset=4 (i32.add (local.get 0) (i32.const 16))))
  (func (param f64) (result f64) (f64.div (local.get 0) (f64.const 4)))
  (func (param f64) (result f64) (f64.sub (local.get 0) (f64.const 0))))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ext_u v0 @42
;; ~ v3:i64 = iconst #3435973837
;; ~ v4:i64 = mul v2, v3 @42
;; ~ v5:i64 = iconst #35
;; ~ v6:i64 = shr_u v4, v5 @42
;; ~ v7:i32 = wrap v6 @42
;;   v8 = return v7 @43
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i32 = iconst #31
;; ~ v3:i32 = shr_s v0, v2 @4a
;; ~ v4:i32 = iconst #29
;; ~ v5:i32 = shr_u v3, v4 @4a
;; ~ v6:i32 = add v0, v5 @4a
;; ~ v7:i32 = iconst #-8
;; ~ v8:i32 = and v6, v7 @4a
;; ~ v9:i32 = sub v0, v8 @4a
;;   v10 = return v9 @4b
;; }
;; func (i64) -> (i64) {
;; block0:
;;   v0:i64 = arg #0
;; ~ v2:i64 = iconst #5270498306774157605
;; ~ v3:i64 = mulhi_s v0, v2 @52
;; ~ v4:i64 = iconst #1
;; ~ v5:i64 = shr_s v3, v4 @52
;; ~ v6:i64 = iconst #63
;; ~ v7:i64 = shr_u v0, v6 @52
;; ~ v8:i64 = add v5, v7 @52
;;   v9 = return v8 @53
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #-1
;;   v2:i32 = div_s v0, v1 @5a
;;   v3 = return v2 @5b
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i32 = iconst #1
;;   v3 = trap_if.IntegerDivideByZero v2 @62
;; ~ v1:i32 = iconst #0
;;   v4 = return v1 @63
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v3:i32 = ext8_s v0 @6d
;;   v4 = return v3 @6e
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #5
;; ~ v2:i32 = icmp.lt_s v0, v1 @75
;;   v6 = return v2 @78
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = load.8_u v0 @7d
;;   v3 = return v1 @84
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #7
;; ~ v5:i32 = rotl v0, v1 @91
;;   v6 = return v5 @92
;; }
;; func (i32, i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;; ~ v5:i32 = mul v0, v1 @9c
;;   v6 = return v5 @9d
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #8
;; ~ v2:i32 = and v0, v1 @a4
;; ~ v3:i32 = iconst #0
;; ~ v4:i32 = icmp.eq v2, v3 @a7
;;   v5 = return v4 @a8
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i32 = iconst #0
;; ~ v3:i32 = icmp.eq v0, v2 @b1
;;   v4 = return v3 @b3
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #4
;; ~ v2:i32 = shr_u v0, v1 @ba
;;   v5:i32 = load v2, #20 @be
;;   v6 = return v5 @c1
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #16
;; ~ v2:i32 = add v0, v1 @c8
;;   v3:i32 = load v2, #4 @c9
;;   v4 = return v3 @cc
;; }
;; func (f64) -> (f64) {
;; block0:
;;   v0:f64 = arg #0
;; ~ v2:f64 = fconst #0x3fd0000000000000
;; ~ v3:f64 = fmul v0, v2 @da
;;   v4 = return v3 @db
;; }
;; func (f64) -> (f64) {
;; block0:
;;   v0:f64 = arg #0
;; ~ v1:f64 = fconst #0x0
;; ~ v2:f64 = fsub v0, v1 @e9
;;   v3 = return v2 @ea
;; }
