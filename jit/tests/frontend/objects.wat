(module
  (type $point (struct (field $x (mut i32)) (field $y i64)))
  (type $bytes (array (mut i8)))
  (type $base (sub (struct (field i32))))
  (type $derived (sub final $base (struct (field i32) (field (mut f64)))))
  ;; One check, one load of what cannot be written; the other field is written through another reference.
  (func (param $p (ref null $point)) (param $q (ref $point)) (result i64)
    (drop (struct.get $point $y (local.get $p)))
    (struct.set $point $x (local.get $q) (i32.const 5))
    (i64.add (struct.get $point $y (local.get $p)) (i64.extend_i32_u (struct.get $point $x (local.get $p)))))
  ;; The bounds are checked once.
  (func (param $a (ref $bytes)) (param $i i32) (result i32)
    (array.set $bytes (local.get $a) (local.get $i)
      (i32.add (array.get_u $bytes (local.get $a) (local.get $i)) (i32.const 1)))
    (array.get_s $bytes (local.get $a) (local.get $i)))
  ;; Tested once.
  (func (param $b (ref null $base)) (result f64)
    (block $no (result (ref null $base))
      (drop (br_on_cast_fail $no (ref null $base) (ref $derived) (local.get $b)))
      (return (struct.get $derived 1 (ref.cast (ref $derived) (local.get $b)))))
    (drop)
    (f64.const 0))
  ;; Room from the size class.
  (func (param $x i32) (result (ref $point))
    (struct.new $point (local.get $x) (i64.const 0))))

;; func (i64, i64) -> (i64) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i64 = arg #1
;; ~ v2:i64 = iconst #0
;; ~ v3:i32 = icmp.eq v0, v2 @4c
;;   v4 = trap_if.NullStructureReference v3 @4c
;;   v5:i64 = pload/fixed v0, #16 @4c
;; ~ v6:i32 = iconst #5
;;   v7 = pstore/field v1, v6, #8 @55
;;   v8:i32 = pload/field v0, #8 @61
;; ~ v9:i64 = ext_u v8 @65
;; ~ v10:i64 = add v5, v9 @66
;;   v11 = return v10 @67
;; }
;; func (i64, i32) -> (i32) {
;; block0:
;;   v0:i64 = arg #0
;;   v1:i32 = arg #1
;;   v2:i32 = pload/fixed v0, #8 @72
;; ~ v3:i32 = icmp.ge_u v1, v2 @72
;;   v4 = trap_if.ArrayOutOfBounds v3 @72
;; ~ v5:i64 = ext_u v1 @72
;;   v6:i32 = eload.8_u/element v0, v5, #16 @72
;; ~ v7:i32 = iconst #1
;; ~ v8:i32 = add v6, v7 @77
;;   v9 = estore.8_u/element v0, v8, v5, #16 @78
;; ~ v10:i32 = ext8_s v8 @7f
;;   v11 = return v10 @82
;; }
;; func (i64) -> (f64) {
;; block0:
;;   v0:i64 = arg #0
;; ~ v1:i64 = iconst #0
;; ~ v2:i32 = icmp.ne v0, v1 @8a
;;   v3 = br_if v2, block1, block2 @8a
;; block1:
;;   v5:i64 = pload/fixed v0 @8a
;; ~ v6:i32 = cload v5, #12 @8a
;; ~ v7:i32 = type_id #230497049
;; ~ v8:i32 = icmp.eq v6, v7 @8a
;;   v9 = br_if v8, block3, block4 @8a
;; block2:
;;   v11 = jump block5 @8a
;; block3:
;;   v14:f64 = pload/field v0, #16 @96
;;   v15 = return v14 @9a
;; block4:
;;   v12 = jump block5 @8a
;; block5:
;; ~ v16:f64 = fconst #0x0
;;   v17 = return v16 @a6
;; }
;; func (i32) -> (i64) {
;; block0:
;;   v0:i32 = arg #0
;; ~ v2:i64 = ctx
;; ~ v6:i64 = cload v2, #240 @ad
;;   v7:i64 = pload/other v6, #16 @ad
;;   v8:i64 = pload/other v6, #24 @ad
;; ~ v5:i64 = iconst #32
;; ~ v9:i64 = add v7, v5 @ad
;; ~ v10:i32 = icmp.lt_u v8, v9 @ad
;;   v11 = br_if v10, block1, block2 @ad
;; block1 cold:
;; ~ v3:i64 = cload v2, #104 @ad
;; ~ v4:i64 = cload v3 @ad
;;   v14:i64 = helper/StructNew v4 @ad
;;   v17 = jump block3(v14) @ad
;; block2:
;;   v12 = pstore/other v6, v9, #16 @ad
;;   v13 = pstore/other v7, v4 @ad
;;   v16 = jump block3(v7) @ad
;; block3(v15:i64):
;;   v18 = pstore/field v15, v0, #8 @ad
;;   v19 = return v15 @b0
;; }
