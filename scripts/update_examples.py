"""Make the folders under examples/ again: solve, lock, render, and with --build build and prove each.

    python scripts/update_examples.py [--build] [NAME...]

Each folder holds what was asked (ASK.md), what envsolve wrote (envsolve/), and with --build the proof beside the lock.
Locks resolve as of the model's era, so a run today gives the files of the last run unless the database changed.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

ASKED = {
    "tensorflow1.4-keras2.0.8": (
        ["tf==1.4", "keras==2.0.8", "--gpu", "none"],
        "a Keras model of 2017 on TensorFlow 1.4",
    ),
    "tensorflow1.4-keras2.0.8-python2.7": (
        ["tf==1.4", "keras==2.0.8", "--gpu", "none", "--python", "2.7"],
        "the same, for code that never left Python 2",
    ),
    "theano0.9-keras1.2.2": (
        ["theano==0.9", "keras==1.2.2", "--gpu", "none"],
        "Keras 1 on Theano, with the compiler that Theano needs at run time",
    ),
    "tensorflow1.15": (["tf==1.15", "--gpu", "none"], "the last TensorFlow 1"),
    "tensorflow2.6": (["tf==2.6", "--gpu", "none"], "TensorFlow 2 with the protobuf and Keras of its day"),
    "torch1.7.1": (["torch==1.7.1", "--gpu", "none"], "torch's index wheel, used on the CPU"),
}


def main() -> None:
    """Make the named examples, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true", help="build each in a container and keep the smoke report")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(ASKED)}")
    options = parser.parse_args()
    for name in options.names or ASKED:
        words, what = ASKED[name]
        folder = EXAMPLES / name
        folder.mkdir(parents=True, exist_ok=True)
        shown = shlex.join(["envsolve", *words])
        (folder / "ASK.md").write_text(f"# {name}\n\n{what[0].upper()}{what[1:]}.\n\n    {shown} --build\n")
        build = ["--build", "--backend", "docker"] if options.build else []
        command = [sys.executable, "-m", "envsolve", *words, "-o", str(folder / "envsolve"), "--force", *build]
        print(f"{name}: {shown}", flush=True)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"{name}: exit {done.returncode}")


if __name__ == "__main__":
    main()
