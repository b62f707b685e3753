#!/bin/sh
# Builds the guests beside their sources: C with zig, Rust with cargo for wasm32-wasip1, Go with GOOS=wasip1, those in Rust
# made smaller by wasm-opt. Where cargo, wasm-opt and go need a wrapper, put it into RUN.
set -eu
cd "$(dirname "$0")"
zig cc -target wasm32-wasi -Os -s -Wall -Wextra -Werror chat.c -o chat.wasm
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-/tmp/guests}"
export RUSTFLAGS="--cfg tokio_unstable --remap-path-prefix $PWD=. --remap-path-prefix $HOME/.cargo/registry/src=crates"
for crate in wasmedge tokio; do
  (cd $crate && ${RUN:-} cargo build --release --target wasm32-wasip1)
done
for name in tcp_echo udp_echo http_server http_client tokio_server; do
  ${RUN:-} wasm-opt -Os --strip-debug --strip-producers --enable-bulk-memory --enable-sign-ext \
    --enable-nontrapping-float-to-int --enable-mutable-globals --enable-multivalue --enable-reference-types \
    "$CARGO_TARGET_DIR/wasm32-wasip1/release/$name.wasm" -o $name.wasm
done
GOOS=wasip1 GOARCH=wasm GOCACHE="$CARGO_TARGET_DIR/go" ${RUN:-} \
  go build -C go -trimpath -ldflags='-s -w' -o ../go_http.wasm .
gzip -9nf go_http.wasm
