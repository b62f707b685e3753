# Interpreters, databases and compilers. Sourced by run.sh: one function a case.

case_sqlite() { # SQLite 3.26: tables, joins, recursion, windows, full-text search, a file
    mkdir "$scratch/sqlite"
    guest sqlite -- -batch <"$here/scripts/queries.sql"
    guest sqlite --dir "$scratch/sqlite::/db" -- /db/kept.db 'CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);' 2>&1
    guest sqlite --dir "$scratch/sqlite::/db" -- /db/kept.db 'SELECT sum(a) FROM t; PRAGMA integrity_check;' 2>&1
    echo 'SELECT * FROM absent;' | guest sqlite -- -batch 2>&1 || echo "error: $?"
}
case_php() { # PHP 8.2: language, numbers, library, an uncaught exception
    guest php "${scripts[@]}" -- -q /scripts/language.php
    guest php "${scripts[@]}" -- -q /scripts/error.php 2>&1 || echo "error: $?"
}
case_ruby() { # Ruby 3.2: language, numbers, library, an uncaught exception
    guest ruby "${scripts[@]}" -- /scripts/language.rb
    guest ruby -- -e 'raise ArgumentError, "no"' 2>&1 || echo "error: $?"
}
case_trealla() { # Trealla, a Prolog: lists, arithmetic without bounds, queens, grammars
    guest trealla "${scripts[@]}" --unknown-imports default -- -f -q -g main,halt /scripts/puzzles.pl
}
# avr: options that show GCC the source, and a folder for what it makes.
avr=(-quiet -nostdinc -mn-flash=1 -mmcu=avr5 -O2 -Wall)
case_gcc() { # GCC 15 for AVR, the C compiler proper: assembly at three levels, an error
    local level
    for level in -O0 -Os -O3; do
        guest gcc --dir "$here/c::/src:ro" -- -quiet -nostdinc -mmcu=avr5 "$level" /src/sort.c -o - | sha256sum
    done
    guest gcc --dir "$here/c::/src:ro" -- "${avr[@]}" /src/sort.c -o -
    echo 'int main(void) { return missing; }' | guest gcc -- "${avr[@]}" - -o - 2>&1 >"$scratch/no" || echo "error: $?"
}
case_gxx() { # GCC 15 for AVR, the C++ compiler proper: templates, classes
    guest gxx --dir "$here/c::/src:ro" -- "${avr[@]}" -fno-exceptions /src/shapes.cc -o -
}
# assembled FOLDER: the object that GCC and the assembler make of our C, as FOLDER/sort.o.
assembled() {
    mkdir -p "$1"
    guest gcc --dir "$here/c::/src:ro" -- "${avr[@]}" /src/sort.c -o - >"$1/sort.s"
    guest avr-as --dir "$1::/out" -- -mmcu=avr5 /out/sort.s -o /out/sort.o
}
case_avr-as() { # GNU as: an object; an error
    assembled "$scratch/avr"
    sha256sum <"$scratch/avr/sort.o"
    echo ' nonsense r1' | guest avr-as --dir "$scratch/avr::/out" -- -o /out/no.o - 2>&1 || echo "error: $?"
}
case_avr-ld() { # GNU ld: a linked program
    assembled "$scratch/avr"
    guest avr-ld --dir "$here/c::/src:ro" --dir "$scratch/avr::/out" -- -mavr5 -T /src/avr.x -e main /out/sort.o -o /out/sort.elf 2>&1
    sha256sum <"$scratch/avr/sort.elf"
}
case_avr-objcopy() { # GNU objcopy: Intel's hexadecimal text of a section
    assembled "$scratch/avr"
    guest avr-objcopy --dir "$scratch/avr::/out" -- -O ihex -j .text.startup -j .text /out/sort.o /out/sort.hex
    cat "$scratch/avr/sort.hex"
}
