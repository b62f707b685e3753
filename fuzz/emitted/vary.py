#!/usr/bin/env python3
"""Real programs through random lists of Binaryen's passes, run by `vm` in all its modes.

In: modules that print something (by default the kernels of bench/), or, with --programs, the cases of programs/run.sh. Out: a line for
each variation that prints anything else than it should, and exit status 1 if there is any. The same seed makes the same lists.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import modes
import tools

REPOSITORY = tools.HERE.parent.parent

# Runs the module of the same name in $VARIED, if there is one, in place of the one that is named.
WRAPPER = """#!/bin/bash
words=()
for word in "$@"; do
    varied=$VARIED/$(basename -- "$word")
    if [[ $word == *.wasm && -f $varied ]]; then words+=("$varied"); else words+=("$word"); fi
    if [[ ${#words[@]} == 1 ]]; then words+=($VM_OPTIONS); fi
done
exec "$VM_COMMAND" "${words[@]}"
"""


def options():
    p = argparse.ArgumentParser(description="Runs varied programs in all modes of vm.")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--count", type=int, default=3, help="how many lists of passes for each module")
    p.add_argument("--modes", help=f"of {', '.join(modes.ALL)}; all if not given")
    p.add_argument("--some", type=int, default=4, help="how many of them, chosen at random, each variation runs in")
    p.add_argument("--vm", type=Path, default=REPOSITORY / "target/release/vm")
    p.add_argument("--programs", action="store_true", help="the cases of programs/run.sh, all or those named")
    p.add_argument("what", nargs="*", help="modules, or cases")
    return p.parse_args()


def chosen(args, rng):
    names = args.modes.split(",") if args.modes else modes.ALL
    return rng.sample(names, min(args.some, len(names)))


def vary(module, to, rng):
    """A variation. Out: the passes, or nothing if wasm-opt could not do it."""
    passes = tools.pass_list(rng)
    try:
        tools.vary(module, to, passes)
    except tools.Failed as e:
        print(f"left out: {module.name}: {e}", file=sys.stderr)
        return None
    return passes


def of_module(args, module, scratch):
    """Runs variations of one module. Out: how many runs, and how many were wrong."""
    runs = wrong = 0
    wanted, _ = modes.run(args.vm, "interp", module)
    if wanted.status or not wanted.output:
        sys.exit(f"vary: {module} prints nothing, or fails: {wanted.output}")
    for n in range(args.count):
        rng = tools.seeded("vary", module.name, args.seed + n)
        varied = scratch / module.name
        passes = vary(module, varied, rng)
        for mode in chosen(args, rng) if passes else []:
            outcome, _ = modes.run(args.vm, mode, varied, rng=rng)
            runs += 1
            if not outcome.same(wanted):
                wrong += 1
                print(f"difference: {module.name}, wasm-opt {' '.join(passes)}, {mode}: {outcome}", flush=True)
    return runs, wrong


def of_programs(args, scratch):
    """Runs the cases of programs/run.sh with varied modules. Out: how many runs, and how many were wrong."""
    runs = wrong = 0
    script = REPOSITORY / "programs/run.sh"
    subprocess.run([script, "--fetch", *args.what], check=True)
    fetched = Path(os.environ.get("VM_PROGRAMS_DIR", REPOSITORY / ".cache/programs"))
    wrapper = scratch / "vm"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    for n in range(args.count):
        folder = scratch / str(n)
        folder.mkdir()
        for module in [*fetched.glob("*.wasm"), *(REPOSITORY / "examples").glob("*.wasm")]:
            passes = vary(module, folder / module.name, tools.seeded("vary", module.name, args.seed + n))
            print(f"{module.name}: {' '.join(passes or ['as it is'])}", flush=True)
        rng = tools.seeded("programs", args.seed + n)
        for mode in [m for m in chosen(args, rng) if m in modes.RUN]:
            environment = {**os.environ, "VM": str(wrapper), "VM_COMMAND": str(args.vm.resolve()), "VARIED": str(folder)}
            environment["VM_OPTIONS"] = " ".join(modes.RUN[mode])
            runs += 1
            if subprocess.run([script, *args.what], env=environment).returncode:
                wrong += 1
                print(f"difference: variation {args.seed + n}, {mode}", flush=True)
    return runs, wrong


def main():
    args = options()
    with tempfile.TemporaryDirectory(prefix="vary-") as scratch:
        if args.programs:
            runs, wrong = of_programs(args, Path(scratch))
        else:
            modules = [Path(m) for m in args.what] or sorted((REPOSITORY / "bench/kernels/wasm").glob("*.wasm"))
            results = [of_module(args, m, Path(scratch)) for m in modules]
            runs, wrong = sum(r[0] for r in results), sum(r[1] for r in results)
    print(f"{runs - wrong} passed, {wrong} failed")
    return 0 if runs and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
