#!/usr/bin/env python3
"""Programs of csmith through clang and wasm-opt, run by `vm` in all its modes and compared with a native build.

In: a seed and a number of programs. Out: a line for each batch in DIR/done, a folder for each difference in DIR/findings, and exit
status 1 if there is any. The same seed makes the same programs, options, passes and modes, with the same tools. A batch that is
in DIR/done for the same `vm` is not run again, so a run that was stopped goes on where it was.

A batch is one module for each level of optimisation that holds all its programs, and variations of these by wasm-opt.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import modes
import tools

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def options():
    p = argparse.ArgumentParser(description="Runs programs of csmith in all modes of vm, compiled and varied in many ways.")
    p.add_argument("--seed", type=int, default=0, help="of the first program")
    p.add_argument("--count", type=int, default=20, help="how many programs")
    p.add_argument("--batch", type=int, default=10, help="how many of them in a module")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many batches at once")
    p.add_argument("--variations", type=int, default=2, help="lists of passes of wasm-opt for each module; 0: it is not needed")
    p.add_argument("--modes", help=f"for unvaried modules, of {', '.join(modes.ALL)}; all if not given")
    p.add_argument("--varied-modes", type=int, default=4, help="how many modes, chosen at random, a variation runs in")
    p.add_argument("--work", type=Path, default=REPOSITORY / "target/emitted", help="where results go")
    p.add_argument("--vm", type=Path, default=REPOSITORY / "target/release/vm")
    p.add_argument("--keep", action="store_true", help="keep modules, and use those that were kept")
    return p.parse_args()


class Run:
    """One run of the harness."""

    def __init__(self, args):
        self.args = args
        self.vm = args.vm.resolve()
        self.identity = hashlib.sha256(self.vm.read_bytes()).hexdigest()[:16]
        self.modes = args.modes.split(",") if args.modes else modes.ALL
        self.done = args.work / "done"
        self.findings = args.work / "findings"
        self.findings.mkdir(parents=True, exist_ok=True)

    def finished(self):
        """The batches that this `vm` has run already."""
        if not self.done.exists():
            return {}
        lines = [json.loads(line) for line in self.done.read_text().splitlines()]
        same = (self.args.batch, self.args.variations, self.identity)
        return {l["first"]: l for l in lines if (l["batch"], l["variations"], l["vm"]) == same}

    def all(self):
        """Runs all batches. Out: whether all is well."""
        a = self.args
        known = self.finished()
        firsts = range(a.seed, a.seed + a.count, a.batch)
        began, results = time.time(), [known[f] for f in firsts if f in known]
        todo = [f for f in firsts if f not in known]
        print(f"{len(results)} batches are done already, {len(todo)} to do", flush=True)
        with ThreadPoolExecutor(a.jobs) as pool:
            for done in as_completed([pool.submit(self.batch, first) for first in todo]):
                r = done.result()
                results.append(r)
                with self.done.open("a") as f:
                    f.write(json.dumps(r) + "\n")
                text = f"{r['programs']} programs, {r['modules']} modules, {r['runs']} runs, {r['differences']} differences"
                print(f"[{time.time() - began:6.0f} s] from {r['first']}: {text}", flush=True)
        total = {k: sum(r[k] for r in results) for k in ("programs", "modules", "runs", "differences", "left_out")}
        text = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in total.items())
        print(f"{text}\n{total['runs'] - total['differences']} passed, {total['differences']} failed")
        return total["differences"] == 0 and total["runs"] > 0

    def batch(self, first):
        """Runs one batch. Out: its line."""
        b = Batch(self, first)
        try:
            b.run()
        finally:
            b.close()
        return {
            "first": first,
            "batch": self.args.batch,
            "variations": self.args.variations,
            "vm": self.identity,
            "programs": len(b.programs),
            "modules": b.modules,
            "runs": b.runs,
            "differences": b.differences,
            "left_out": b.left_out,
        }


class Batch:
    """Some programs in one module for each level."""

    # Native programs that take longer, unoptimised, are left out: an interpreter takes some fifty times as long.
    NATIVE_SECONDS = 0.02
    # Bytes of source: below, there is hardly any control flow; beyond, a program takes the time of ten.
    SIZES = range(12_000, 90_000)

    def __init__(self, run, first):
        self.harness, self.first, self.rng = run, first, tools.seeded("batch", first)
        self.kept = run.args.work / "modules" / str(first) if run.args.keep else None
        self.dir = self.kept or Path(tempfile.mkdtemp(prefix="emitted-"))
        self.dir.mkdir(parents=True, exist_ok=True)
        self.programs, self.modules, self.runs, self.differences, self.left_out = [], 0, 0, 0, 0

    def close(self):
        if not self.kept:
            shutil.rmtree(self.dir, ignore_errors=True)

    def run(self):
        last = min(self.first + self.harness.args.batch, self.harness.args.seed + self.harness.args.count)
        expected = self.dir / "expected.json"
        if expected.exists():
            self.programs, expected_lines = json.loads(expected.read_text())
        else:
            expected_lines = self.natively(range(self.first, last))
            expected.write_text(json.dumps((self.programs, expected_lines)))
        self.left_out += last - self.first - len(self.programs)
        if not self.programs:
            return
        for level in tools.LEVELS:
            rng = tools.seeded("level", self.first, level)
            module = self.dir / f"module{level}.wasm"
            try:
                if not module.exists():
                    self.compile(level, rng, module)
            except tools.Failed as e:
                print(f"left out: batch {self.first} {level}: {e}", file=sys.stderr)
                continue
            self.check(module, level, [], self.harness.modes, expected_lines, rng)
            for n in range(self.harness.args.variations):
                self.variation(module, level, n, expected_lines)

    def natively(self, seeds):
        """Makes the programs: of more than are needed those that are not tiny and end soon. Out: what each prints."""
        made = []
        for seed in seeds:
            for attempt in range(seed * 4, seed * 4 + 4):
                source = self.dir / f"{attempt}.c"
                try:
                    tools.csmith(attempt, tools.seeded("program", attempt), source)
                except tools.Failed:
                    continue
                if source.stat().st_size not in self.SIZES:
                    source.unlink()
                    continue
                made.append(attempt)
                if len(made) % 4:
                    break
        binary = self.dir / "native"
        objects = self.objects(made, tools.NATIVE)
        tools.link_native(objects, binary)
        for o in objects:
            o.unlink()
        lines = []
        for i, program in enumerate(made):
            output = tools.natively([str(binary), str(i)], self.NATIVE_SECONDS)
            if output is not None and len(lines) < len(seeds):
                lines.append(output.split(": ", 1)[1])
                self.programs.append(program)
            else:
                (self.dir / f"{program}.c").unlink()
        binary.unlink()
        return lines

    def main(self, seeds):
        """The list of programs, in C."""
        declared = "".join(f"int program_{s}(int, char **);\n" for s in seeds)
        listed = ", ".join(f"program_{s}" for s in seeds)
        path = self.dir / f"main-{seeds[0]}-{len(seeds)}.c"
        path.write_text(
            f"typedef int program(int, char **);\n{declared}program *const programs[] = {{ {listed} }};\n"
            f"const int program_count = {len(seeds)};\n"
        )
        return path

    def objects(self, seeds, options):
        """Compiles programs, their list and the runtime."""
        sources = [self.dir / f"{s}.c" for s in seeds] + [self.main(seeds), HERE / "runtime.c"]
        made = []
        for source in sources:
            made.append(self.dir / f"{source.stem}{len(made)}.o")
            name = [f"-Dmain=program_{source.stem}"] if source.stem.isdigit() else []
            tools.clang(source, made[-1], [*options, *name])
        return made

    def compile(self, level, rng, to):
        objects = self.objects(self.programs, ["--target=wasm32", level, *rng.choice(tools.TARGETS)])
        tools.link_wasm(objects, to)
        for o in objects:
            o.unlink()

    def variation(self, module, level, n, expected):
        rng = tools.seeded("variation", self.first, level, n)
        passes, varied = tools.pass_list(rng), self.dir / f"varied{level}-{n}.wasm"
        try:
            tools.vary(module, varied, passes)
        except tools.Failed as e:
            print(f"left out: batch {self.first} {level} {' '.join(passes)}: {e}", file=sys.stderr)
            return
        count = min(self.harness.args.varied_modes, len(self.harness.modes))
        chosen = ["interp"] + rng.sample([m for m in self.harness.modes if m != "interp"], max(count - 1, 0))
        self.check(varied, level, passes, chosen, expected, rng)
        varied.unlink(missing_ok=True)

    def check(self, module, level, passes, chosen, expected, rng):
        """Runs a module in modes."""
        self.modules += 1
        expected = "".join(f"{i}: {line}" for i, line in enumerate(expected))
        for mode in chosen:
            outcome, commands = modes.run(self.harness.vm, mode, module, rng=rng)
            self.runs += 1
            if outcome.status or outcome.output != expected:
                self.differences += 1
                self.report(module, level, passes, mode, outcome, expected, commands)

    def report(self, module, level, passes, mode, outcome, expected, commands):
        """Keeps what is needed to look at a difference."""
        pairs = zip(expected.splitlines(), outcome.output.splitlines() + ["nothing"] * len(self.programs))
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
        name = f"{self.first}{level}{'-varied' if passes else ''}-{mode}"
        to = self.harness.findings / name
        to.mkdir(exist_ok=True)
        shutil.copy(module, to / "module.wasm")
        for source in self.dir.glob("*.c"):
            if source.stem == str(self.programs[at]):
                shutil.copy(source, to / "program.c")
        lines = [f"program {at} of the batch, seed {self.programs[at]}, {level}, wasm-opt {' '.join(passes)}, mode {mode}"]
        lines += [shlex.join(map(str, c)) for c in commands]
        lines += ["", f"status {outcome.status}", "expected:", expected, "got:", outcome.output]
        (to / "README").write_text("\n".join(lines))
        print(f"difference: {to}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(0 if Run(options()).all() else 1)
