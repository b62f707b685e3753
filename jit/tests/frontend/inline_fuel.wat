;; fuel: a body is charged where it is, the rest of the caller where it began.
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
;;   v1 = fuel #2
;;   v2:i32 = load v0, #4 @42
;;   v3 = return v2 @45
;; }
;; func (i32, i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;;   v2 = fuel #3
;;   v3 = store v0, v1, #4 @4c
;;   v4 = return @4f
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #4
;; ~ v2:i32 = iconst #0
;; ~ v3:i32 = icmp.lt_s v0, v2 @56
;;   v4 = br_if v3, block1, block2 @57
;; block1:
;;   v5 = fuel #2 @57
;;   v6 = return v2 @5b
;; block2:
;;   v7 = fuel #1 @5c
;;   v8 = return v0 @5f
;; }
;; func (i32) -> (i32, i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v2 = fuel #6
;;   v5 = br_if v0, block1, block2 @6f
;; block1:
;; ~ v3:i32 = iconst #1
;; ~ v4:i32 = add v0, v3 @68
;;   v9 = jump block3(v4) @75
;; block2:
;;   v6 = fuel #2 @6f
;; ~ v7:i32 = iconst #7
;;   v10 = jump block3(v7) @75
;; block3(v8:i32):
;;   v11 = fuel #2 @75
;;   v12 = return v0, v8 @7a
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #4
;;   v2 = fuel #2 @40/0<7f
;;   v3:i32 = load v0, #4 @42/0<7f
;; ~ v4:i64 = ctx
;;   v5:i32 = pload/global v4, #112 @81
;;   v6:i32 = div_s v3, v5 @83
;;   v7 = return v6 @84
;; }
;; func () -> () {
;; block0 cold:
;;   v0 = fuel #1
;;   v1 = trap.Unreachable @87
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v3 = jump block1(v0) @8b
;; block1(v2:i32):
;;   v4 = fuel #5 @8b
;; ~ v6:i32 = iconst #-1
;; ~ v7:i32 = add v2, v6 @91
;;   v8 = br_if v7, block2, block3 @94
;; block2:
;;   v9 = jump block1(v7) @94
;; block3:
;;   v10 = fuel #1 @94
;;   v11 = return v7 @99
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #2
;;   v2 = fuel #2 @9c/7<9e
;;   v3:i32 = call v0, #7 @9e/7<9e
;;   v4 = return v3 @a0
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #8
;;   v3 = fuel #3 @48/1<a7
;; ~ v2:i32 = iconst #5
;;   v4 = store v0, v2, #4 @4c/1<a7
;;   v5 = fuel #4 @52/2<ab
;; ~ v6:i32 = iconst #0
;; ~ v7:i32 = icmp.lt_s v0, v6 @56/2<ab
;;   v8 = br_if v7, block1, block2 @57/2<ab
;; block1:
;;   v9 = fuel #2 @57/2<ab
;;   v12 = jump block3(v6) @5f/2<ab
;; block2:
;;   v10 = fuel #1 @5c/2<ab
;;   v13 = jump block3(v0) @5f/2<ab
;; block3(v11:i32):
;;   v15 = fuel #2 @40/0<af
;; ~ v16:i32 = add v11, v2 @b1
;;   v17 = return v16 @b2
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #3
;;   v3 = fuel #6 @64/3<b7
;;   v6 = br_if v0, block1, block2 @6f/3<b7
;; block1:
;; ~ v4:i32 = iconst #1
;; ~ v5:i32 = add v0, v4 @68/3<b7
;;   v10 = jump block3(v5) @75/3<b7
;; block2:
;;   v7 = fuel #2 @6f/3<b7
;; ~ v8:i32 = iconst #7
;;   v11 = jump block3(v8) @75/3<b7
;; block3(v9:i32):
;;   v12 = fuel #2 @75/3<b7
;; ~ v13:i32 = sub v0, v9 @b9
;;   v14 = return v13 @ba
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #2
;;   v2 = fuel #4 @7d/4<bf
;;   v3 = fuel #2 @40/0<7f/4<bf
;;   v4:i32 = load v0, #4 @42/0<7f/4<bf
;; ~ v5:i64 = ctx
;;   v6:i32 = pload/global v5, #112 @81/4<bf
;;   v7:i32 = div_s v4, v6 @83/4<bf
;;   v8 = return v7 @c1
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = fuel #2
;;   v2 = br_if v0, block1, block2 @c6
;; block1:
;;   v3 = fuel #1 @c6
;;   v4 = call #5 @c8
;;   v5 = jump block3 @ca
;; block2:
;;   v6 = jump block3 @ca
;; block3:
;;   v7 = fuel #3 @ca
;;   v8:i32 = call v0, #6 @cd
;;   v9 = fuel #2 @9c/7<cf
;;   v10 = fuel #2 @9c/7<9e/7<cf
;;   v11:i32 = call v8, #7 @9e/7<9e/7<cf
;;   v12 = return v11 @d1
;; }
