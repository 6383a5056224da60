"""A whole cold process: `envsolve TARGET --dry-run` beside `uv pip compile` of the same framework, cache warm.

Run it with both installed in one environment (pip install . uv):

    python benchmarks/cold_answer.py [--runs 15]

Both do what they do before a build: envsolve answers what works on this machine and why, uv resolves the packages.
uv's cache is filled by a first run; it is measured online (it asks the index again) and with --offline (it does not).
The figure that counts is the ratio of medians in one run on one machine, the two commands taking turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def program(name: str) -> str:
    """The command beside this interpreter, else on PATH."""
    found = shutil.which(name, path=f"{BIN}:{os.environ['PATH']}")
    if found is None:
        sys.exit(f"{name} is not installed: {sys.executable} -m pip install {name}")
    return found


def seconds(command: list[str], stdin: str = "") -> float:
    """Wall time of a whole process; stops the benchmark when the command fails."""
    start = time.perf_counter()
    run = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    took = time.perf_counter() - start
    if run.returncode:
        sys.exit(f"{' '.join(command)} failed ({run.returncode}):\n{run.stderr[-2000:]}")
    return took


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--requirement", default="tensorflow==1.4.1")
    parser.add_argument("--python", default="3.6")
    parser.add_argument("--before", default="2018-01-15", help="uv's --exclude-newer, the era of the requirement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        # setuptools and wheel are let through, or uv cannot build the one source package of this set at all.
        uv = [program("uv"), "pip", "compile", "-", "--quiet", "--cache-dir", cache, "--no-config"]
        uv += ["--python-version", options.python, "--exclude-newer", options.before]
        uv += [f"--exclude-newer-package={name}=2026-01-01" for name in ("setuptools", "wheel")]
        name, _, version = options.requirement.partition("==")
        ours = [program("envsolve"), f"{name}=={version}", "--gpu", "none", "--python", options.python, "--dry-run"]
        commands = {
            "bare python": ([sys.executable, "-c", "pass"], ""),
            "envsolve": (ours, ""),
            "uv, warm cache": (uv, options.requirement),
            "uv, warm cache, --offline": ([*uv, "--offline"], options.requirement),
        }
        for command, stdin in commands.values():
            seconds(command, stdin)
        times: dict[str, list[float]] = {label: [] for label in commands}
        for _ in range(options.runs):
            for label, (command, stdin) in commands.items():
                times[label].append(seconds(command, stdin))
    ours_median = statistics.median(times["envsolve"])
    print(f"{'':28}{'min':>9}{'median':>9}{'max':>9}   envsolve is")
    for label, taken in times.items():
        ratio = ours_median / statistics.median(taken)
        cells = "".join(f"{value * 1000:>6.0f} ms" for value in (min(taken), statistics.median(taken), max(taken)))
        print(f"{label:28}{cells}   {ratio:.2f} x" + ("" if label == "envsolve" else f" of {label}"))


if __name__ == "__main__":
    main()
