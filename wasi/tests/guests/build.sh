#!/bin/sh
# Builds the guests beside their sources: C with `zig cc`, Rust with `rustc` for wasm32-wasip1.
# Where rustc with that target needs a wrapper, put it into RUSTC.
set -eu
cd "$(dirname "$0")"
for source in *.c; do
  zig cc -target wasm32-wasi -Os -s -Wall -Wextra -Werror "$source" -o "${source%.c}.wasm"
done
for source in *.rs; do
  ${RUSTC:-rustc} --edition 2024 --target wasm32-wasip1 -C opt-level=s -C lto -C panic=abort -C strip=symbols \
    --remap-path-prefix "$PWD=." "$source" -o "${source%.rs}.wasm"
done
