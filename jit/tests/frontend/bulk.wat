(module
  (memory 1)
  (func (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 21)))
  (func (param i32) (memory.fill (local.get 0) (i32.const 0) (i32.const 12)))
  (func (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 4096))))

;; func (i32, i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;;   v3:v128 = load v1, #5 @2a
;;   v4:v128 = load v1 @2a
;;   v5 = store v0, v3, #5 @2a
;;   v6 = store v0, v4 @2a
;;   v7 = return @2e
;; }
;; func (i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;; ~ v1:i32 = iconst #0
;;   v6 = store v0, v1, #8 @37
;; ~ v4:i64 = iconst #0
;;   v7 = store v0, v4 @37
;;   v8 = return @3a
;; }
;; func (i32, i32) -> () {
;; block0:
;;   v0:i32 = arg #0
;;   v1:i32 = arg #1
;; ~ v6:i64 = iconst #0
;; ~ v3:i64 = ext_u v0 @44
;; ~ v4:i64 = ext_u v1 @44
;; ~ v5:i64 = iconst #4096
;;   v7:i64 = helper/MemoryCopy v6, v6, v3, v4, v5 @44
;;   v8 = return @48
;; }
