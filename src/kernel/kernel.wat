;; The loops over bodies that take most of the time, with SIMD: finding where JSON strings and values end, and mixing
;; prompts into block hashes. Each does what its TypeScript twin does (src/openai/{skip,words}.ts,
;; src/prefix/{strings,stripes}.ts), bit for bit. `node tools/kernel.mjs` makes module.ts of it.
;;
;; Memory: 0 the lanes a0..a7, 32 the lanes b0..b7, 64 a stripe of 64 bytes, 128 where a found string ends,
;; 132 and 136 where the one before it began and ended, 144 how many members were found, 148 a bit for each of them,
;; 160 up to 272 constants, 512 up to 32 members, 1024 up to 512 hashes; the body lies from 5120 on.
(module
  (memory (export "memory") 18)
  ;; What lanes are multiplied by, and the bytes that are looked for. In memory, for V8 would make constants anew at each use:
  ;; 1 µs of 10 for mixing 128 KB, 2 of 12 for scanning them.
  (data (i32.const 160) "\b1\79\37\9e\b1\79\37\9e\b1\79\37\9e\b1\79\37\9e")
  (data (i32.const 176) "\77\ca\eb\85\77\ca\eb\85\77\ca\eb\85\77\ca\eb\85")
  (data (i32.const 192) "\22\22\22\22\22\22\22\22\22\22\22\22\22\22\22\22")
  (data (i32.const 208) "\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c\5c")
  (data (i32.const 224) "                ")
  (data (i32.const 240) "{{{{{{{{{{{{{{{{")
  (data (i32.const 256) "}}}}}}}}}}}}}}}}")

  ;; Not 0: a value that was skipped holds what prompts are cut at.
  (global $odd (mut i32) (i32.const 0))

  ;; Behind the closing quote of the string whose text begins at `at`; 0: not before `end`.
  (func $close (param $at i32) (param $end i32) (result i32)
    (local $start i32) (local $slash i32) (local $found i32) (local $far i32) (local $before i32)
    (local $quote v128) (local $slashes v128)
    (local.set $quote (v128.load (i32.const 192)))
    (local.set $slashes (v128.load (i32.const 208)))
    (local.set $start (local.get $at))
    (local.set $far (i32.add (local.get $at) (i32.const 32)))
    (loop $next
      ;; Of a long text 32 bytes at a time: those with no quote but behind just one backslash, which are part of it. Code and JSON
      ;; within texts have many of them, and the processor could not tell where.
      (if (i32.ge_u (local.get $at) (local.get $far)) (then
        (local.set $before (i32.sub (local.get $at) (i32.const 2)))
        (loop $step
          (if (i32.eqz (v128.any_true
              (v128.or
                (v128.andnot
                  (i8x16.eq (v128.load offset=2 (local.get $before)) (local.get $quote))
                  (v128.andnot
                    (i8x16.eq (v128.load offset=1 (local.get $before)) (local.get $slashes))
                    (i8x16.eq (v128.load (local.get $before)) (local.get $slashes))))
                (v128.andnot
                  (i8x16.eq (v128.load offset=18 (local.get $before)) (local.get $quote))
                  (v128.andnot
                    (i8x16.eq (v128.load offset=17 (local.get $before)) (local.get $slashes))
                    (i8x16.eq (v128.load offset=16 (local.get $before)) (local.get $slashes)))))))
            (then
              (local.set $before (i32.add (local.get $before) (i32.const 32)))
              (br_if $step (i32.lt_u (local.get $before) (local.get $end))))))
        (local.set $at (i32.add (local.get $before) (i32.const 2)))
        (local.set $far (i32.add (local.get $at) (i32.const 32)))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $found (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (local.get $quote))))
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

  ;; Whether prompts are cut at a string of 15 bytes or of 1,024 and more, or may be: a cache mark's key, or a long text that begins with
  ;; `data`, or that stands behind a string as media's keys are: `"data"`, `"b64_json"`, `"file_data"`.
  (func $isOdd (param $at i32) (param $size i32) (param $key i32) (param $keyEnd i32) (result i32)
    (if (i32.ge_u (local.get $size) (i32.const 1024)) (then
      (if (i32.eq (i32.load offset=1 (local.get $at)) (i32.const 0x61746164)) (then (return (i32.const 1))))
      (local.set $size (i32.sub (local.get $keyEnd) (local.get $key)))
      (local.set $key (i32.load offset=1 (local.get $key)))
      (if (i32.eq (local.get $size) (i32.const 6)) (then (return (i32.eq (local.get $key) (i32.const 0x61746164)))))
      (if (i32.eq (local.get $size) (i32.const 10)) (then (return (i32.eq (local.get $key) (i32.const 0x5f343662)))))
      (if (i32.eq (local.get $size) (i32.const 11)) (then (return (i32.eq (local.get $key) (i32.const 0x656c6966)))))
      (return (i32.const 0))))
    (i32.and
      (i64.eq (i64.load (local.get $at)) (i64.const 0x635f656863616322))
      (i64.eq (i64.load offset=7 (local.get $at)) (i64.const 0x226c6f72746e6f63))))

  ;; From an opening bracket or brace to behind the one that closes it; 0: there is none, or they do not match.
  (func $skip (export "skip") (param $at i32) (param $end i32) (result i32)
    (local $brackets i32) (local $braces i32) (local $found i32) (local $bytes v128) (local $folded v128)
    (local $open i32) (local $size i32) (local $key i32) (local $keyEnd i32)
    (local $quote v128) (local $blanks v128) (local $opening v128) (local $closing v128)
    (local.set $quote (v128.load (i32.const 192)))
    (local.set $blanks (v128.load (i32.const 224)))
    (local.set $opening (v128.load (i32.const 240)))
    (local.set $closing (v128.load (i32.const 256)))
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $bytes (v128.load (local.get $at)))
      ;; [ and { differ in bit 5 only, so do ] and }.
      (local.set $folded (v128.or (local.get $bytes) (local.get $blanks)))
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.eq (local.get $bytes) (local.get $quote))
        (v128.or
          (i8x16.eq (local.get $folded) (local.get $opening))
          (i8x16.eq (local.get $folded) (local.get $closing))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $found (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $found) (i32.const 0x22)) (then
        (local.set $open (i32.sub (local.get $at) (i32.const 1)))
        (local.set $at (call $close (local.get $at) (local.get $end)))
        (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
        (local.set $size (i32.sub (local.get $at) (local.get $open)))
        ;; Most strings are of no such size.
        (if (i32.or (i32.eq (local.get $size) (i32.const 15)) (i32.ge_u (local.get $size) (i32.const 1024))) (then
          (if (call $isOdd (local.get $open) (local.get $size) (local.get $key) (local.get $keyEnd))
            (then (global.set $odd (i32.const 1))))))
        (local.set $key (local.get $open))
        (local.set $keyEnd (local.get $at))
        (br $next)))
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
    (local $quote v128)
    (local.set $quote (v128.load (i32.const 192)))
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $found (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (local.get $quote))))
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
  (func $stop (export "stop") (param $at i32) (param $end i32) (result i32)
    (local $found i32) (local $bytes v128)
    (local $quote v128) (local $slashes v128) (local $blanks v128)
    (local.set $quote (v128.load (i32.const 192)))
    (local.set $slashes (v128.load (i32.const 208)))
    (local.set $blanks (v128.load (i32.const 224)))
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.lt_u (local.get $bytes) (local.get $blanks))
        (v128.or
          (i8x16.eq (local.get $bytes) (local.get $quote))
          (i8x16.eq (local.get $bytes) (local.get $slashes))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
    (select (local.get $at) (local.get $end) (i32.lt_u (local.get $at) (local.get $end))))

  ;; Where the next byte stands that is no blank, or `end`.
  (func $blank (param $at i32) (param $end i32) (result i32)
    (local $byte i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.gt_u (local.get $byte) (i32.const 0x20)) (then (return (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      ;; A bit each for blank, line feed, carriage return and tab.
      (br_if $next (i32.wrap_i64 (i64.and
        (i64.shr_u (i64.const 0x100002600) (i64.extend_i32_u (local.get $byte)))
        (i64.const 1)))))
    (i32.sub (local.get $at) (i32.const 1)))

  (func $isHex (param $byte i32) (result i32)
    (i32.or
      (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x30)) (i32.const 10))
      (i32.lt_u (i32.sub (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x61)) (i32.const 6))))

  ;; Behind the escape that begins at `at`; 0: it is none.
  (func $escape (param $at i32) (param $end i32) (result i32)
    (local $byte i32)
    (local.set $byte (i32.load8_u offset=1 (local.get $at)))
    (if (i32.eq (local.get $byte) (i32.const 0x75)) (then
      (return (select
        (i32.add (local.get $at) (i32.const 6))
        (i32.const 0)
        (i32.and
          (i32.le_u (i32.add (local.get $at) (i32.const 6)) (local.get $end))
          (i32.and
            (i32.and
              (call $isHex (i32.load8_u offset=2 (local.get $at)))
              (call $isHex (i32.load8_u offset=3 (local.get $at))))
            (i32.and
              (call $isHex (i32.load8_u offset=4 (local.get $at)))
              (call $isHex (i32.load8_u offset=5 (local.get $at))))))))))
    ;; A bit each for " and /, then for \ b f n r t.
    (select
      (i32.add (local.get $at) (i32.const 2))
      (i32.const 0)
      (i32.and
        (i32.lt_u (i32.add (local.get $at) (i32.const 1)) (local.get $end))
        (i32.and
          (i32.lt_u (local.get $byte) (i32.const 0x80))
          (i32.wrap_i64 (i64.and
            (i64.shr_u
              (select (i64.const 0x0014404410000000) (i64.const 0x800400000000) (i32.and (local.get $byte) (i32.const 0x40)))
              (i64.extend_i32_u (local.get $byte)))
            (i64.const 1)))))))

  ;; Behind the closing quote of a text that begins at `at`; 0: there is none, or the text is not as JSON has it.
  (func $string (param $at i32) (param $end i32) (result i32)
    (local $byte i32)
    (loop $next
      (local.set $at (call $stop (local.get $at) (local.get $end)))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.eq (local.get $byte) (i32.const 0x22)) (then (return (i32.add (local.get $at) (i32.const 1)))))
      (if (i32.ne (local.get $byte) (i32.const 0x5c)) (then (return (i32.const 0))))
      (br_if $next (local.tee $at (call $escape (local.get $at) (local.get $end)))))
    (i32.const 0))

  ;; Where the key that begins at `at` ends, if it is ASCII without escapes; 0: it is not.
  (func $key (param $at i32) (param $end i32) (result i32)
    (local $found i32) (local $bytes v128)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $bytes (v128.load (local.get $at)))
      ;; Signed: bytes beyond ASCII are below 0x20, too.
      (local.set $found (i8x16.bitmask (v128.or
        (i8x16.lt_s (local.get $bytes) (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020))
        (v128.or
          (i8x16.eq (local.get $bytes) (v128.const i32x4 0x22222222 0x22222222 0x22222222 0x22222222))
          (i8x16.eq (local.get $bytes) (v128.const i32x4 0x5c5c5c5c 0x5c5c5c5c 0x5c5c5c5c 0x5c5c5c5c))))))
      (if (i32.eqz (local.get $found)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $found))))
    (select
      (local.get $at)
      (i32.const 0)
      (i32.and
        (i32.lt_u (local.get $at) (local.get $end))
        (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x22)))))

  ;; Behind a number or word that begins at `at`, whatever it is.
  (func $scalar (param $at i32) (param $end i32) (result i32)
    (local $byte i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      ;; Above blanks and within ASCII, no comma and no closing bracket or brace.
      (br_if $next (i32.and
        (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x21)) (i32.const 0x5f))
        (i32.and
          (i32.ne (local.get $byte) (i32.const 0x2c))
          (i32.ne (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x7d))))))
    (i32.sub (local.get $at) (i32.const 1)))

  ;; From behind the brace that opens an object to behind the one that closes it, noting where its members' keys (without
  ;; quotes) and values lie. 0: whoever has more time has to read it. Numbers and words are found, not checked.
  (func (export "scan") (param $at i32) (param $end i32) (result i32)
    (local $member i32) (local $value i32) (local $byte i32) (local $plain i32) (local $bit i32)
    (local.set $member (i32.const 512))
    (local.set $bit (i32.const 1))
    (local.set $at (call $blank (local.get $at) (local.get $end)))
    (loop $next
      ;; A bit that was shifted out: no room is left.
      (if (i32.eqz (local.get $bit)) (then (return (i32.const 0))))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x22)) (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (i32.store (local.get $member) (local.get $at))
      (local.set $at (call $key (local.get $at) (local.get $end)))
      (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
      (i32.store offset=4 (local.get $member) (local.get $at))
      (local.set $at (call $blank (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x3a)) (then (return (i32.const 0))))
      (local.set $value (call $blank (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
      (if (i32.ge_u (local.get $value) (local.get $end)) (then (return (i32.const 0))))
      (local.set $byte (i32.load8_u (local.get $value)))
      (if (i32.eq (local.get $byte) (i32.const 0x22))
        (then (local.set $at (call $string (i32.add (local.get $value) (i32.const 1)) (local.get $end))))
        (else (if (i32.eq (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x7b))
          (then
            (global.set $odd (i32.const 0))
            (local.set $at (call $skip (local.get $value) (local.get $end)))
            (if (i32.eqz (global.get $odd)) (then (local.set $plain (i32.or (local.get $plain) (local.get $bit))))))
          (else (local.set $at (call $scalar (local.get $value) (local.get $end)))))))
      (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
      (i32.store offset=8 (local.get $member) (local.get $value))
      (i32.store offset=12 (local.get $member) (local.get $at))
      (local.set $member (i32.add (local.get $member) (i32.const 16)))
      (local.set $bit (i32.shl (local.get $bit) (i32.const 1)))
      (local.set $at (call $blank (local.get $at) (local.get $end)))
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $byte) (i32.const 0x2c)) (then
        (local.set $at (call $blank (local.get $at) (local.get $end)))
        (br $next))))
    (if (i32.ne (local.get $byte) (i32.const 0x7d)) (then (return (i32.const 0))))
    (i32.store (i32.const 144) (i32.shr_u (i32.sub (local.get $member) (i32.const 512)) (i32.const 4)))
    (i32.store (i32.const 148) (local.get $plain))
    (local.get $at))

  ;; Mixes blocks of so many stripes each into the lanes, and leaves a hash read off them for each block.
  (func (export "blocks") (param $at i32) (param $stripes i32) (param $count i32)
    (local $out i32) (local $end i32) (local $h i32) (local $l i32) (local $before i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $x v128)
    (local $factorA v128) (local $factorB v128)
    (local.set $factorA (v128.load (i32.const 160)))
    (local.set $factorB (v128.load (i32.const 176)))
    (local.set $a (v128.load (i32.const 0)))
    (local.set $c (v128.load (i32.const 16)))
    (local.set $b (v128.load (i32.const 32)))
    (local.set $d (v128.load (i32.const 48)))
    (local.set $out (i32.const 1024))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $end (i32.add (local.get $at) (i32.shl (local.get $stripes) (i32.const 6))))
      (block $mixed (loop $mix
        (br_if $mixed (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $b (i32x4.mul (v128.xor (local.get $b) (v128.load offset=16 (local.get $at))) (local.get $factorB)))
        (local.set $a (i32x4.mul (v128.xor (local.get $a) (local.get $x)) (local.get $factorA)))
        (local.set $a (v128.xor (local.get $a) (v128.or (i32x4.shl (local.get $b) (i32.const 15)) (i32x4.shr_u (local.get $b) (i32.const 17)))))
        (local.set $b (v128.xor (local.get $x) (i32x4.add (local.get $b) (v128.or (i32x4.shl (local.get $a) (i32.const 11)) (i32x4.shr_u (local.get $a) (i32.const 21))))))
        (local.set $x (v128.load offset=32 (local.get $at)))
        (local.set $d (i32x4.mul (v128.xor (local.get $d) (v128.load offset=48 (local.get $at))) (local.get $factorB)))
        (local.set $c (i32x4.mul (v128.xor (local.get $c) (local.get $x)) (local.get $factorA)))
        (local.set $c (v128.xor (local.get $c) (v128.or (i32x4.shl (local.get $d) (i32.const 15)) (i32x4.shr_u (local.get $d) (i32.const 17)))))
        (local.set $d (v128.xor (local.get $x) (i32x4.add (local.get $d) (v128.or (i32x4.shl (local.get $c) (i32.const 11)) (i32x4.shr_u (local.get $c) (i32.const 21))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $mix)))
      ;; The sums of the lanes by the powers of each factor.
      (local.set $x (i32x4.add
        (i32x4.mul (local.get $a) (v128.const i32x4 0x6364b0d1 0x5ecd5121 0x8bc6ba71 0x1f76bcc1))
        (i32x4.mul (local.get $c) (v128.const i32x4 0xcc042811 0xffe6cc61 0x9e3779b1 0x00000001))))
      (local.set $x (i32x4.add (local.get $x) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $x) (local.get $x))))
      (local.set $h (i32.add (i32x4.extract_lane 0 (local.get $x)) (i32x4.extract_lane 1 (local.get $x))))
      (local.set $x (i32x4.add
        (i32x4.mul (local.get $b) (v128.const i32x4 0x4e3db607 0xed07c4f1 0x2188ddd7 0x757effa1))
        (i32x4.mul (local.get $d) (v128.const i32x4 0x129074a7 0xfc9a0351 0x85ebca77 0x00000001))))
      (local.set $x (i32x4.add (local.get $x) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $x) (local.get $x))))
      (local.set $l (i32.add (i32x4.extract_lane 0 (local.get $x)) (i32x4.extract_lane 1 (local.get $x))))
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
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (v128.store (i32.const 0) (local.get $a))
    (v128.store (i32.const 16) (local.get $c))
    (v128.store (i32.const 32) (local.get $b))
    (v128.store (i32.const 48) (local.get $d)))
)
