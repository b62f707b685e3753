"""The ways in which `vm` executes a module, and their comparison.

In: a module, the arguments of its program. Out: what each mode prints and how it ends; the same for all, or the mode is wrong.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

JIT = ["--tier", "jit", "--no-cache"]
AUTO = ["--tier", "auto", "--no-cache", "--no-fill"]
# Options of `vm run`.
RUN = {
    "interp": ["--tier", "interp", "--no-cache"],
    "jit": JIT,
    "auto": [*AUTO, "--tier-threshold", "1", "--compile-threads", "0"],
    "background": [*AUTO, "--tier-threshold", "3"],
    "osr": [*AUTO, "--tier-threshold", "0", "--compile-threads", "0"],
    "checked": [*JIT, "--memory", "checked"],
    "masked": [*JIT, "--memory", "masked"],
    "fuel": [*JIT, "--fuel", "1_000_000_000_000"],
    "osr-fuel": [*AUTO, "--tier-threshold", "0", "--compile-threads", "0", "--fuel", "1_000_000_000_000"],
    "interruptible": [*JIT, "--timeout", "1000s"],
    "interp-checked": ["--tier", "interp", "--no-cache", "--memory", "checked"],
}
# Options of `vm aot`, before the artifact is run.
AOT = {
    "O0": ["-O", "0"],
    "O1": ["-O", "1"],
    "O0-checked": ["-O", "0", "--memory", "checked"],
    "O1-fuel": ["-O", "1", "--fuel"],
    "baseline": ["--target-cpu", "baseline"],
    "artifact": [],
}
# From the cache, and with passes and tunables chosen at random.
CACHED, PASSES = "cached", "passes"
ALL = [*RUN, *AOT, CACHED, PASSES]


@dataclass
class Outcome:
    """What a run printed, and how it ended."""

    status: int
    output: str

    def same(self, other):
        return self.status == other.status and self.output == other.output


def timed(command, seconds, stdin=subprocess.DEVNULL):
    """Runs a command. A run that takes too long has status 124."""
    try:
        done = subprocess.run(command, timeout=seconds, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired as e:
        return Outcome(124, (e.stdout or b"").decode(errors="replace"))
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        text += done.stderr.decode(errors="replace")[:400].replace("\n", " | ")
    return Outcome(done.returncode, text)


def commands(vm, mode, module, args, scratch, rng=None):
    """The commands that run a module in a mode; the last one's output counts."""
    run = [vm, "run"]
    if mode == PASSES:
        base = rng.choice(["jit", "osr", "auto", "checked", "fuel"])
        return [[*run, *RUN[base], f"--jit-passes=random:{rng.randrange(1 << 32)}", module, *args]]
    if mode in RUN:
        return [[*run, *RUN[mode], module, *args]]
    if mode in AOT:
        artifact = str(Path(scratch) / "module.aot")
        fuel = ["--fuel", "1_000_000_000_000"] if "--fuel" in AOT[mode] else []
        memory = AOT[mode][AOT[mode].index("--memory") :][:2] if "--memory" in AOT[mode] else []
        ahead = [vm, "aot", "--quiet", *AOT[mode], "--cache", str(scratch), "-o", artifact, module]
        return [ahead, [*run, "--no-cache", "--tier", "jit", "--allow-precompiled", *fuel, *memory, artifact, *args]]
    if mode == CACHED:
        cache = ["--cache", str(Path(scratch) / "cache")]
        return [[vm, "aot", "--quiet", *cache, module], [*run, *cache, "--no-fill", module, *args]]
    raise ValueError(mode)


def run(vm, mode, module, args=(), seconds=300, rng=None):
    """Runs a module in a mode. Out: the outcome and the commands."""
    scratch = tempfile.mkdtemp(prefix="emitted-")
    try:
        todo = commands(str(vm), mode, str(module), list(args), scratch, rng)
        for command in todo:
            outcome = timed(command, seconds)
            if outcome.status:
                break
        return outcome, todo
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
