;; The loops over bodies that take most of the time, with SIMD: finding where JSON strings and values end, and mixing
;; prompts into block hashes. Each does what its TypeScript twin does (src/openai/{skip,words}.ts,
;; src/prefix/{strings,stripes}.ts), bit for bit. `node tools/kernel.mjs` makes module.ts of it.
;;
;; Memory: 0 the lanes a0..a7, 32 the lanes b0..b7, 64 a stripe of 64 bytes, 128 where a found string ends,
;; 132 and 136 where the one before it began and ended, 1024 up to 512 hashes; the body lies from 5120 on.
(module
  (memory (export "memory") 18)

  ;; Behind the closing quote of the string whose text begins at `at`; 0: not before `end`.
  (func $close (param $at i32) (param $end i32) (result i32)
    (local $start i32) (local $slash i32) (local $found i32)
    (local.set $start (local.get $at))
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $found (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (v128.const i32x4 0x22222222 0x22222222 0x22222222 0x22222222))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      ;; Quoted by an odd number of backslashes it is part of the text.
      (local.set $slash (local.get $at))
      (block $counted (loop $back
        (br_if $counted (i32.le_u (local.get $slash) (local.get $start)))
        (br_if $counted (i32.ne (i32.load8_u (i32.sub (local.get $slash) (i32.const 1))) (i32.const 0x5c)))
        (local.set $slash (i32.sub (local.get $slash) (i32.const 1)))
        (br $back)))
      (local.set $slash (i32.sub (local.get $at) (local.get $slash)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.and (local.get $slash) (i32.const 1))))
    (local.get $at))

  ;; From an opening bracket or brace to behind the one that closes it; 0: there is none, or they do not match.
  (func (export "skip") (param $at i32) (param $end i32) (result i32)
    (local $brackets i32) (local $braces i32) (local $found i32) (local $bytes v128) (local $folded v128)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $bytes (v128.load (local.get $at)))
      ;; [ and { differ in bit 5 only, so do ] and }.
      (local.set $folded (v128.or (local.get $bytes) (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020)))
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.eq (local.get $bytes) (v128.const i32x4 0x22222222 0x22222222 0x22222222 0x22222222))
        (v128.or
          (i8x16.eq (local.get $folded) (v128.const i32x4 0x7b7b7b7b 0x7b7b7b7b 0x7b7b7b7b 0x7b7b7b7b))
          (i8x16.eq (local.get $folded) (v128.const i32x4 0x7d7d7d7d 0x7d7d7d7d 0x7d7d7d7d 0x7d7d7d7d))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $found (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $found) (i32.const 0x22)) (then
        (br_if $next (local.tee $at (call $close (local.get $at) (local.get $end))))
        (return (i32.const 0))))
      (if (i32.eq (local.get $found) (i32.const 0x5b)) (then (local.set $brackets (i32.add (local.get $brackets) (i32.const 1)))))
      (if (i32.eq (local.get $found) (i32.const 0x5d)) (then (local.set $brackets (i32.sub (local.get $brackets) (i32.const 1)))))
      (if (i32.eq (local.get $found) (i32.const 0x7b)) (then (local.set $braces (i32.add (local.get $braces) (i32.const 1)))))
      (if (i32.eq (local.get $found) (i32.const 0x7d)) (then (local.set $braces (i32.sub (local.get $braces) (i32.const 1)))))
      (if (i32.lt_s (i32.or (local.get $brackets) (local.get $braces)) (i32.const 0)) (then (return (i32.const 0))))
      (br_if $next (i32.or (local.get $brackets) (local.get $braces))))
    (local.get $at))

  ;; Where the next string begins that is as long as the key of a cache mark, long enough for media, or ends at `limit` or
  ;; behind it; `end`: there is none. Its end and the string before it are left in memory.
  (func (export "find") (param $at i32) (param $end i32) (param $limit i32) (result i32)
    (local $found i32) (local $close i32) (local $size i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $found (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (v128.const i32x4 0x22222222 0x22222222 0x22222222 0x22222222))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $close (call $close (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
      (if (i32.eqz (local.get $close)) (then (local.set $close (local.get $end))))
      (local.set $size (i32.sub (local.get $close) (local.get $at)))
      (if (i32.or
            (i32.or (i32.eq (local.get $size) (i32.const 15)) (i32.ge_u (local.get $size) (i32.const 1024)))
            (i32.ge_s (local.get $close) (local.get $limit)))
        (then
          (i32.store (i32.const 128) (local.get $close))
          (return (local.get $at))))
      (i32.store (i32.const 132) (local.get $at))
      (i32.store (i32.const 136) (local.get $close))
      (local.set $at (local.get $close))
      (br $next))
    (local.get $end))

  ;; Where the next quote, backslash or control character stands, or `end`.
  (func (export "stop") (param $at i32) (param $end i32) (result i32)
    (local $found i32) (local $bytes v128)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.lt_u (local.get $bytes) (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020))
        (v128.or
          (i8x16.eq (local.get $bytes) (v128.const i32x4 0x22222222 0x22222222 0x22222222 0x22222222))
          (i8x16.eq (local.get $bytes) (v128.const i32x4 0x5c5c5c5c 0x5c5c5c5c 0x5c5c5c5c 0x5c5c5c5c))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
    (select (local.get $at) (local.get $end) (i32.lt_u (local.get $at) (local.get $end))))

  ;; Mixes stripes of 64 bytes into the lanes.
  (func $mix (export "mix") (param $at i32) (param $stripes i32)
    (local $end i32) (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $x v128)
    (local.set $a (v128.load (i32.const 0)))
    (local.set $c (v128.load (i32.const 16)))
    (local.set $b (v128.load (i32.const 32)))
    (local.set $d (v128.load (i32.const 48)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $stripes) (i32.const 6))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $x (v128.load (local.get $at)))
      (local.set $b (i32x4.mul (v128.xor (local.get $b) (v128.load offset=16 (local.get $at))) (v128.const i32x4 0x85ebca77 0x85ebca77 0x85ebca77 0x85ebca77)))
      (local.set $a (i32x4.mul (v128.xor (local.get $a) (local.get $x)) (v128.const i32x4 0x9e3779b1 0x9e3779b1 0x9e3779b1 0x9e3779b1)))
      (local.set $a (v128.xor (local.get $a) (v128.or (i32x4.shl (local.get $b) (i32.const 15)) (i32x4.shr_u (local.get $b) (i32.const 17)))))
      (local.set $b (v128.xor (local.get $x) (i32x4.add (local.get $b) (v128.or (i32x4.shl (local.get $a) (i32.const 11)) (i32x4.shr_u (local.get $a) (i32.const 21))))))
      (local.set $x (v128.load offset=32 (local.get $at)))
      (local.set $d (i32x4.mul (v128.xor (local.get $d) (v128.load offset=48 (local.get $at))) (v128.const i32x4 0x85ebca77 0x85ebca77 0x85ebca77 0x85ebca77)))
      (local.set $c (i32x4.mul (v128.xor (local.get $c) (local.get $x)) (v128.const i32x4 0x9e3779b1 0x9e3779b1 0x9e3779b1 0x9e3779b1)))
      (local.set $c (v128.xor (local.get $c) (v128.or (i32x4.shl (local.get $d) (i32.const 15)) (i32x4.shr_u (local.get $d) (i32.const 17)))))
      (local.set $d (v128.xor (local.get $x) (i32x4.add (local.get $d) (v128.or (i32x4.shl (local.get $c) (i32.const 11)) (i32x4.shr_u (local.get $c) (i32.const 21))))))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br $next)))
    (v128.store (i32.const 0) (local.get $a))
    (v128.store (i32.const 16) (local.get $c))
    (v128.store (i32.const 32) (local.get $b))
    (v128.store (i32.const 48) (local.get $d)))

  ;; Mixes blocks of so many stripes each, and leaves a hash read off the lanes for each of them.
  (func (export "blocks") (param $at i32) (param $stripes i32) (param $count i32)
    (local $out i32) (local $h i32) (local $l i32) (local $before i32)
    (local.set $out (i32.const 1024))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (call $mix (local.get $at) (local.get $stripes))
      (local.set $h (i32.const 0))
      (local.set $l (i32.const 0))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=0 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=32 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=4 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=36 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=8 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=40 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=12 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=44 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=16 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=48 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=20 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=52 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=24 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=56 (i32.const 0))))
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 0x9e3779b1)) (i32.load offset=28 (i32.const 0))))
      (local.set $l (i32.add (i32.mul (local.get $l) (i32.const 0x85ebca77)) (i32.load offset=60 (i32.const 0))))
      (local.set $before (local.get $h))
      (local.set $h (i32.xor
        (i32.mul (i32.xor (local.get $h) (i32.shr_u (local.get $h) (i32.const 16))) (i32.const 0x85ebca6b))
        (i32.mul (i32.xor (local.get $l) (i32.shr_u (local.get $l) (i32.const 13))) (i32.const 0xc2b2ae35))))
      (local.set $l (i32.xor
        (i32.mul (i32.xor (local.get $l) (i32.shr_u (local.get $l) (i32.const 16))) (i32.const 0x85ebca6b))
        (i32.mul (i32.xor (local.get $before) (i32.shr_u (local.get $before) (i32.const 13))) (i32.const 0xc2b2ae35))))
      (local.set $before (local.get $h))
      (local.set $h (i32.xor
        (i32.mul (i32.xor (local.get $h) (i32.shr_u (local.get $h) (i32.const 16))) (i32.const 0x85ebca6b))
        (i32.mul (i32.xor (local.get $l) (i32.shr_u (local.get $l) (i32.const 13))) (i32.const 0xc2b2ae35))))
      (local.set $l (i32.xor
        (i32.mul (i32.xor (local.get $l) (i32.shr_u (local.get $l) (i32.const 16))) (i32.const 0x85ebca6b))
        (i32.mul (i32.xor (local.get $before) (i32.shr_u (local.get $before) (i32.const 13))) (i32.const 0xc2b2ae35))))
      (f64.store (local.get $out) (f64.convert_i64_u (i64.or
        (i64.shl (i64.extend_i32_u (i32.shr_u (local.get $h) (i32.const 12))) (i64.const 32))
        (i64.extend_i32_u (local.get $l)))))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.shl (local.get $stripes) (i32.const 6))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next))))
)
