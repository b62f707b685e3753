(module
  (func (param i32) (result i32)
    (block (block (block (br_table 0 1 0 2 2 (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
    (i32.const 30))
  (func (param i32) (result i32)
    (block (block (br_table 0 1 (local.get 0))) (return (i32.const 10)))
    (i32.const 30)))

;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v1 = br_table v0, block1, block2, block1, block3 @22
;; block1:
;; ~ v2:i32 = iconst #10
;;   v3 = return v2 @2c
;; block2:
;; ~ v4:i32 = iconst #20
;;   v5 = return v4 @30
;; block3:
;; ~ v6:i32 = iconst #30
;;   v7 = return v6 @34
;; }
;; func (i32) -> (i32) {
;; block0:
;;   v0:i32 = arg #0
;;   v3 = br_if v0, block2, block1 @3d
;; block1:
;; ~ v4:i32 = iconst #10
;;   v5 = return v4 @44
;; block2:
;; ~ v6:i32 = iconst #30
;;   v7 = return v6 @48
;; }
