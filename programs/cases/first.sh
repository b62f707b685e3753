# The first programs: interpreters, compilers, search, synthesis of hardware. Sourced by run.sh: one function a case.

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
