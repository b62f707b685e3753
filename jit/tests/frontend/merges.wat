(module
  (memory 1)
  ;; Only what differs and is needed behind becomes a parameter.
  (func (param i32 i32) (result i32) (local $t i32) (local $same i32)
    (if (local.get 0)
      (then (local.set $t (i32.const 1)) (local.set 1 (i32.add (local.get 1) (local.get $t))))
      (else (local.set $t (i32.const 2)) (i32.store (local.get 1) (local.get $t))))
    (local.set $t (i32.const 5))
    (i32.add (local.get 1) (i32.add (local.get $t) (local.get $same))))
  ;; Values on the stack.
  (func (param i32) (result i32)
    (block (result i32)
      (br_if 0 (i32.const 10) (local.get 0))
      (drop)
      (i32.const 20)))
  ;; A known condition.
  (func (result i32)
    (if (result i32) (i32.const 1) (then (i32.const 3)) (else (unreachable)))))

;; func (i32, i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;;   v3 = br_if v0, block1, block2 @2e
;; block1:
;; ~ v4:i32 = iconst #1
;; ~ v5:i32 = add v1, v4 @38
;;   v9 = jump block3(v5) @47
;; block2:
;; ~ v6:i32 = iconst #2
;;   v7 = store v1, v6 @44
;;   v10 = jump block3(v1) @47
;; block3(v8:i32):
;; ~ v11:i32 = iconst #5
;; ~ v12:i32 = add v8, v11 @53
;;   v13 = return v12 @54
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v2 = br_if v0, block1, block2 @5d
;; block1:
;; ~ v1:i32 = iconst #10
;;   v5 = jump block3(v1) @62
;; block2:
;; ~ v3:i32 = iconst #20
;;   v6 = jump block3(v3) @62
;; block3(v4:i32):
;;   v7 = return v4 @63
;; }
;; func () -> (i32) {
;; block0:
;; ~ v1:i32 = iconst #3
;;   v2 = return v1 @6f
;; }
