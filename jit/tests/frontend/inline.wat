;; Small functions in the place of their calls: results at a join, locals, traps with the calls around them.
(module
  (memory 1)
  (global $g (mut i32) (i32.const 0))
  (func $get (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func $set (param i32 i32) (i32.store offset=4 (local.get 0) (local.get 1)))
  (func $clamp (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 0)) (then (return (i32.const 0))))
    (local.get 0))
  (func $two (param i32) (result i32 i32) (local i32)
    (local.set 1 (i32.add (local.get 0) (i32.const 1)))
    (block (br_if 0 (local.get 0)) (local.set 1 (i32.const 7)))
    (local.get 0) (local.get 1))
  (func $nested (param i32) (result i32) (i32.div_s (call $get (local.get 0)) (global.get $g)))
  (func $never (unreachable))
  (func $long (param i32) (result i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))
  (func $again (param i32) (result i32) (call $again (local.get 0)))
  (func (param i32) (result i32)
    (call $set (local.get 0) (i32.const 5))
    (i32.add (call $clamp (local.get 0)) (call $get (local.get 0))))
  (func (param i32) (result i32) (call $two (local.get 0)) i32.sub)
  (func (param i32) (result i32) (call $nested (local.get 0)))
  (func (param i32) (result i32)
    (if (local.get 0) (then (call $never)))
    (call $again (call $long (local.get 0)))))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = load v0, #4 @42
;;   v2 = return v1 @45
;; }
;; func (i32, i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;;   v2 = store v0, v1, #4 @4c
;;   v3 = return @4f
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #0
;; ~ v2:i32 = icmp.lt_s v0, v1 @56
;;   v3 = br_if v2, block1, block2 @57
;; block1:
;;   v4 = return v1 @5b
;; block2:
;;   v5 = return v0 @5f
;; }
;; func (i32) -> (i32, i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v4 = br_if v0, block1, block2 @6f
;; block1:
;; ~ v2:i32 = iconst #1
;; ~ v3:i32 = add v0, v2 @68
;;   v7 = jump block3(v3) @75
;; block2:
;; ~ v5:i32 = iconst #7
;;   v8 = jump block3(v5) @75
;; block3(v6:i32):
;;   v9 = return v0, v6 @7a
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = load v0, #4 @42/0<7f
;; ~ v2:i64 = ctx
;;   v3:i32 = pload/global v2, #112 @81
;;   v4:i32 = div_s v1, v3 @83
;;   v5 = return v4 @84
;; }
;; func () -> () {
;; block0 cold:
;;   v0 = trap.Unreachable @87
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v2 = jump block1(v0) @8b
;; block1(v1:i32):
;; ~ v4:i32 = iconst #-1
;; ~ v5:i32 = add v1, v4 @91
;;   v6 = br_if v5, block2, block3 @94
;; block2:
;;   v7 = jump block1(v5) @94
;; block3:
;;   v8 = return v5 @99
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = call v0, #7 @9e/7<9e
;;   v2 = return v1 @a0
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #5
;;   v2 = store v0, v1, #4 @4c/1<a7
;; ~ v3:i32 = iconst #0
;; ~ v4:i32 = icmp.lt_s v0, v3 @56/2<ab
;;   v5 = br_if v4, block1, block2 @57/2<ab
;; block1:
;;   v7 = jump block3(v3) @5f/2<ab
;; block2:
;;   v8 = jump block3(v0) @5f/2<ab
;; block3(v6:i32):
;; ~ v9:i32 = add v6, v1 @b1
;;   v10 = return v9 @b2
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v4 = br_if v0, block1, block2 @6f/3<b7
;; block1:
;; ~ v2:i32 = iconst #1
;; ~ v3:i32 = add v0, v2 @68/3<b7
;;   v7 = jump block3(v3) @75/3<b7
;; block2:
;; ~ v5:i32 = iconst #7
;;   v8 = jump block3(v5) @75/3<b7
;; block3(v6:i32):
;; ~ v9:i32 = sub v0, v6 @b9
;;   v10 = return v9 @ba
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = load v0, #4 @42/0<7f/4<bf
;; ~ v2:i64 = ctx
;;   v3:i32 = pload/global v2, #112 @81/4<bf
;;   v4:i32 = div_s v1, v3 @83/4<bf
;;   v5 = return v4 @c1
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_if v0, block1, block2 @c6
;; block1:
;;   v2 = call #5 @c8
;;   v3 = jump block3 @ca
;; block2:
;;   v4 = jump block3 @ca
;; block3:
;;   v5:i32 = call v0, #6 @cd
;;   v6:i32 = call v5, #7 @9e/7<9e/7<cf
;;   v7 = return v6 @d1
;; }
