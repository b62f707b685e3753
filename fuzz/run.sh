#!/usr/bin/env bash
# Builds the targets with libFuzzer and runs one: fuzz/run.sh TARGET [SECONDS] [libFuzzer's options…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'USAGE'
Usage: fuzz/run.sh TARGET [SECONDS [OPTIONS…]]
       fuzz/run.sh --build | --minimise TARGET

Runs a target for SECONDS (60 unless told otherwise), beginning with fuzz/corpus/TARGET and keeping what is new in
target/fuzz-corpus/TARGET. What breaks a property is written to target/fuzz-corpus/crash-…; run the target with that file as
the only argument to repeat it. OPTIONS are those of libFuzzer. It needs a C++ compiler.

  --build      only build
  --minimise   write the smallest files that reach everything that is reached now to fuzz/corpus/TARGET

Targets: parse validate translate compile differential cache_load wasi_paths
USAGE
}

host=$(rustc -vV | sed -n 's/^host: //p')
build() { # instrumented, with debug assertions: the verifier of intermediate code and the checker of allocations are on
    local flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares --cfg=fuzzing -Ctarget-cpu=x86-64-v2"
    RUSTFLAGS=${flags//$'\n'/ } cargo build --quiet --profile fuzz --target "$host" --target-dir target/fuzz \
        -p fuzz --features libfuzzer --bins
}

case ${1:-} in
'' | --help | -h) usage; exit 0 ;;
--build) build; exit ;;
esac
minimise=no
if [ "$1" = --minimise ]; then minimise=yes; shift; fi
target=${1:?which target}
build
program=target/fuzz/$host/fuzz/$target
kept=fuzz/corpus/$target found=target/fuzz-corpus/$target
mkdir -p "$kept" "$found"
export VM_KEY_FILE=$PWD/target/fuzz-corpus/key
# Guests' faults are ours to handle; libFuzzer hears of all others.
if [ $minimise = yes ]; then
    small=$(mktemp -d)
    "$program" -merge=1 -max_len=4096 "$small" "$kept" "$found"
    rm -rf "$kept"
    mv "$small" "$kept"
    exit
fi
exec "$program" -max_total_time="${2:-60}" -max_len=8192 -timeout=60 -rss_limit_mb=4096 \
    -artifact_prefix=target/fuzz-corpus/ "${@:3}" "$found" "$kept"
