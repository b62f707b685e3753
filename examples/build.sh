#!/bin/sh
# Builds the examples for WASI. Needs zig; the results are committed.
set -eu
cd "$(dirname "$0")"
for name in life markdown; do
    zig cc -std=gnu11 -O2 -Wall -Wextra -target wasm32-wasi -s -o "$name.wasm" "$name.c"
    chmod 644 "$name.wasm"
done
