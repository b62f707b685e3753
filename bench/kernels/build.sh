#!/bin/sh
# Builds the benchmark kernels, or those named on the command line, into ../out:
#   ../out/wasm/NAME.wasm  for WASI; with --update they also replace the committed ones in wasm/, and what the native
#                          programs print at the small scale goes into checksums.txt
#   ../out/native/NAME     for this machine, the baseline
#
# Needs zig. Both builds use the same compiler and level. The native one keeps to the architecture's baseline
# (NATIVE_CPU=native for all this machine has), and neither contracts multiplications and additions, so that both print
# the same checksums.
set -eu
cd "$(dirname "$0")"

update=no
if [ "${1:-}" = --update ]; then
    update=yes
    shift
fi
if ! command -v zig >/dev/null 2>&1; then
    echo "build.sh: zig is not on PATH; it compiles the kernels" >&2
    exit 1
fi
[ $# -gt 0 ] || set -- $(basename -a -s .c ./*.c)

flags="-std=gnu11 -O3 -Wall -Wextra -ffp-contract=off -fno-sanitize=undefined"
mkdir -p ../out/wasm ../out/native wasm
for name in "$@"; do
    simd=
    if [ "$name" = simd ]; then simd=-msimd128; fi
    # shellcheck disable=SC2086
    zig cc $flags $simd -target wasm32-wasi -s -o "../out/wasm/$name.wasm" "$name.c"
    # shellcheck disable=SC2086
    zig cc $flags -mcpu="${NATIVE_CPU:-baseline}" -s -o "../out/native/$name" "$name.c" -lm
    if [ $update = yes ]; then
        install -m 644 "../out/wasm/$name.wasm" "wasm/$name.wasm"
        if [ "$name" != hello ]; then
            "../out/native/$name" | sort -u -k 1,1 - checksums.txt >../out/checksums.txt
            mv ../out/checksums.txt checksums.txt
        fi
    fi
    echo "$name"
done
