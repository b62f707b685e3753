# Converters, renderers, and tools for hardware. Sourced by run.sh: one function a case.

case_pandoc() { # Pandoc (Haskell): Markdown becomes HTML, LaTeX, and its own tree; HTML becomes Markdown
    local to
    mkdir "$scratch/pandoc"
    for to in html latex native rst; do
        guest pandoc --dir "$scratch/pandoc::." "${read_only_data[@]}" -- -f markdown -t "$to" /data/sample.md
    done
    echo '<h1>A</h1><ul><li><p>b <em>c</em></p></li></ul>' | guest pandoc --dir "$scratch/pandoc::." -- -f html -t markdown
}
case_flite() { # Flite: text becomes speech
    mkdir "$scratch/speech"
    guest flite --dir "$scratch/speech::/out" -- -t 'The quick brown fox read 42 books.' -o /out/speech.wav
    sha256sum <"$scratch/speech/speech.wav"
}
case_resvg() { # resvg (Rust): a drawing becomes pixels
    mkdir "$scratch/pixels"
    guest resvg "${inputs[@]}" --dir "$scratch/pixels::/out" -- /inputs/drawing.svg /out/drawing.png
    sha256sum <"$scratch/pixels/drawing.png"
    guest resvg "${inputs[@]}" --dir "$scratch/pixels::/out" -- /inputs/ways.cfg /out/no.png 2>&1 || echo "error: $?"
}
case_usvg() { # usvg (Rust): a drawing is simplified
    mkdir "$scratch/simple"
    guest usvg "${inputs[@]}" --dir "$scratch/simple::/out" -- /inputs/drawing.svg /out/drawing.svg
    cat "$scratch/simple/drawing.svg"
}
case_png-read() { # ITK (C++), whose function to run has the empty name: pixels that resvg made are read
    mkdir "$scratch/image"
    guest resvg "${inputs[@]}" --dir "$scratch/image::/out" -- /inputs/drawing.svg /out/drawing.png
    guest png-read --dir "$scratch/image::/out" -- /out/drawing.png /out/readable.json /out/image.iwi
    cat "$scratch/image/readable.json" "$scratch/image/image.iwi/index.json"
    sha256sum <"$scratch/image/image.iwi/data/data.raw"
}
case_silice() { # Silice: a description of hardware becomes Verilog
    own silice
    mkdir "$scratch/silice"
    guest silice --dir "$resources/silice::/silice:ro" --dir "$here/chip::/chip:ro" --dir "$scratch/silice::/out" -- \
        --frameworks_dir /silice/frameworks --framework /silice/frameworks/boards/bare/bare.v \
        -o /out/blink.v /chip/blink.si >"$scratch/silice/log" 2>&1 || cat "$scratch/silice/log"
    wc -l <"$scratch/silice/blink.v"
    grep -v '^//' "$scratch/silice/blink.v" | sha256sum
}
case_ecppll() { # ecppll: the settings of a clock
    guest ecppll -- --clkin 25 --clkout0 80 --clkout1 60 -f /dev/stdout 2>&1
}
case_ecpbram() { # ecpbram: contents of a memory, from a seed
    mkdir "$scratch/memory"
    guest ecpbram --dir "$scratch/memory::/out" -- -g /out/memory.hex -w 16 -d 1024 -s 7
    sha256sum <"$scratch/memory/memory.hex"
    guest ecpbram -- -g /no.hex -w 8 -d 64 2>&1 || echo "error: $?"
}
