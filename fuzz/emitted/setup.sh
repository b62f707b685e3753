#!/usr/bin/env bash
# Installs what emitted.py and vary.py need, at fixed versions, unless it is there: csmith and its headers (Debian), zig for clang and the
# linkers (PyPI), wasm-opt (npm, with node). Prints the variables to be set, for `eval`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${VM_EMITTED_TOOLS:-$(dirname "$(dirname "$here")")/.cache/emitted}
mkdir -p "$tools"

if ! command -v csmith >/dev/null || [ ! -f /usr/include/csmith/csmith.h ]; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq csmith libcsmith-dev >&2
fi
if [ -z "${ZIG:-}" ]; then
    ZIG=$tools/zig/ziglang/zig
    [ -x "$ZIG" ] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$tools/zig" ziglang==0.17.1 >&2
fi
if [ -z "${WASM_OPT:-}" ]; then
    optimiser=$tools/node_modules/binaryen/bin/wasm-opt
    [ -f "$optimiser" ] || npm install --silent --no-audit --no-fund --prefix "$tools" binaryen@132.0.0 >&2
    WASM_OPT="node $optimiser"
fi
echo "export ZIG='$ZIG' WASM_OPT='$WASM_OPT'"
