"""The tools of others: csmith, clang, the linkers, wasm-opt.

In: their names in the environment, or none. Out: functions that make files, each bounded in time. A tool that fails on a program
is no finding of ours: `Failed` says which, and the program is left out.
"""

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEVELS = ["-O0", "-O1", "-O2", "-O3", "-Os"]

# What clang may use of WebAssembly: its own choice, little, much.
TARGETS = [[], ["-mcpu=mvp"], ["-msimd128"], ["-mcpu=bleeding-edge"], ["-mtail-call", "-mmultivalue", "-msign-ext"]]

# Passes of Binaryen that keep the meaning of a module; some only work on flat code.
FLAT = ["--rereloop", "--dfo", "--local-cse", "--simplify-locals-notee-nostructure", "--ssa", "--merge-locals"]
PASSES = """-O1 -O2 -O3 -O4 -Os -Oz --code-folding --remove-unused-brs --remove-unused-names --untee --coalesce-locals
    --coalesce-locals-learning --inlining --inlining-optimizing --simplify-locals --simplify-locals-nostructure
    --simplify-locals-nonesting --merge-blocks --merge-locals --reorder-locals --code-pushing --local-cse --licm --vacuum --rse
    --ssa --ssa-nomerge --dce --precompute --precompute-propagate --optimize-instructions --pick-load-signs --dae-optimizing
    --duplicate-function-elimination --merge-similar-functions --avoid-reinterprets --tuple-optimization --reorder-functions
    --directize --local-subtyping --const-hoisting
    --optimize-casts --once-reduction --heap-store-optimization --limit-segments --flatten""".split()

FEATURES = """--mvp-features --enable-simd --enable-bulk-memory --enable-sign-ext --enable-nontrapping-float-to-int
    --enable-multivalue --enable-mutable-globals --enable-reference-types --enable-tail-call --enable-gc
    --enable-extended-const --enable-exception-handling""".split()


class Failed(Exception):
    """A tool did not do its work on one input."""


def limited(command, seconds, **kwargs):
    """Runs a tool, without its output. Raises Failed."""
    try:
        done = subprocess.run(command, timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[0]).name}: more than {seconds} s") from None
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace')[-400:]}")
    return done.stdout


def zig():
    """The path of zig, which has clang and the linkers."""
    if "ZIG" in os.environ:
        return os.environ["ZIG"]
    try:
        import ziglang  # the package of that name has it

        return str(Path(ziglang.__file__).parent / "zig")
    except ImportError:
        return shutil.which("zig") or sys.exit("emitted: no zig: set ZIG, or install the package `ziglang`")


def wasm_opt():
    """The command for wasm-opt."""
    return os.environ.get("WASM_OPT", "wasm-opt").split()


def csmith(seed, rng, to):
    """A program of csmith, of a shape that `rng` chooses."""
    shape = ["--max-funcs", rng.choice(["4", "6", "10"]), "--max-block-depth", rng.choice("3557")]
    shape += ["--max-block-size", rng.choice("346"), "--max-expr-complexity", rng.choice(["5", "10", "15"])]
    shape += ["--max-array-dim", rng.choice("123"), rng.choice(["--bitfields", "--no-bitfields"])]
    shape += [rng.choice(["--jumps", "--no-jumps"])]
    shape += rng.choice([[], [], ["--inline-function"], ["--no-volatiles"], ["--no-pointers"], ["--no-structs", "--no-unions"]])
    limited(["csmith", "--seed", str(seed), "--output", to.name, *shape], 20, cwd=to.parent)


def clang(source, to, options):
    """Compiles to an object."""
    tool = zig()
    builtin = Path(os.environ.get("ZIG_LIB", Path(tool).resolve().parent / "lib")) / "include"
    includes = ["-nostdlibinc", "-isystem", str(builtin), "-isystem", str(HERE / "include")]
    includes += ["-isystem", os.environ.get("CSMITH_INCLUDE", "/usr/include/csmith")]
    fixed = ["-w", "-ffp-contract=off", "-fno-builtin" if source.name == "runtime.c" else "-fbuiltin"]
    limited([tool, "clang", *options, *includes, *fixed, "-c", str(source), "-o", str(to)], 60)


def link_wasm(objects, to):
    """Links a module."""
    flags = ["--no-entry", "--stack-first", "-z", "stack-size=1048576", "--export-dynamic"]
    limited([zig(), "wasm-ld", *flags, *map(str, objects), "-o", str(to)], 60)


def link_native(objects, to):
    """Links a program of 32 bits for this machine."""
    limited([zig(), "cc", "-target", "x86-linux-musl", "-static", *map(str, objects), "-o", str(to)], 600)


NATIVE = ["--target=i386-linux-musl", "-O0", "-malign-double", "-msse2", "-mfpmath=sse", "-fno-pic"]


def natively(command, seconds):
    """What a program prints that takes at most so much time of a processor; None if it takes more, or fails."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    timer = threading.Timer(2, child.kill)
    timer.start()
    with child.stdout as out:
        text = out.read().decode(errors="replace")
    _, status, used = os.wait4(child.pid, 0)
    timer.cancel()
    child.returncode = status
    return text if status == 0 and used.ru_utime + used.ru_stime <= seconds else None


def pass_list(rng):
    """A random list of passes."""
    passes = []
    for _ in range(rng.randint(1, 5)):
        passes += ["--flatten", rng.choice(FLAT)] if rng.random() < 0.35 else [rng.choice(PASSES)]
    return passes


def vary(module, to, passes):
    """The module after those passes."""
    limited([*wasm_opt(), *FEATURES, *passes, str(module), "-o", str(to)], 60)


def seeded(*what):
    """A generator of random numbers of its own for each thing."""
    return random.Random(":".join(map(str, what)))
