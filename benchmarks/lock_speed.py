"""How long a closure takes beside uv, in the same run on the same index: cold (empty caches) and warm.

    python benchmarks/lock_speed.py [--rounds 3] [SET...]

uv resolves nothing for Python before 3.6, and with a date little before 3.8; the sets are ones that it can. Both read
the index of pip's configuration, as of the same day, for the same Python and platform; neither installs anything.
What each finds is compared too: a difference is printed, and one that is not listed in ``DIFFERENT`` ends in exit 1.
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
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envsolve.lock.candidates import World
from envsolve.lock.capping import CapBook
from envsolve.lock.index import Index
from envsolve.lock.pipconfig import user_config
from envsolve.lock.reasons import Asked
from envsolve.lock.resolve import resolve
from envsolve.lock.target import Target


@dataclass(frozen=True)
class Case:
    """What is asked for, for which Python, as of when. ``different``: package -> why the two may differ on it."""

    wanted: tuple[str, ...]
    python: str
    abi: str
    day: date
    different: dict[str, str] = field(default_factory=dict)


CASES = {
    "notebook": Case(("jupyter", "pandas", "matplotlib", "scikit-learn"), "3.10.13", "cp310", date(2023, 6, 1)),
    "tensorflow": Case(("tensorflow==2.12.0", "scikit-learn"), "3.10.13", "cp310", date(2023, 6, 1)),
    "torch": Case(("torch==2.2.1", "transformers==4.38.2", "datasets"), "3.11.8", "cp311", date(2024, 3, 20)),
    "web": Case(("flask", "requests", "sqlalchemy", "celery"), "3.12.2", "cp312", date(2024, 3, 20)),
}


def ours(case: Case, cache: Path) -> dict[str, str]:
    """Package -> version, by envsolve's resolver without the database's limits."""
    index = Index(user_config(), cache_dir=cache)
    try:
        target = Target(full=case.python, abi=case.abi, glibc="2.17")
        caps = CapBook.of((), (), target, _same)
        asked = [Asked(Requirement(text), text) for text in case.wanted]
        found = resolve(World(index, target, case.day), caps, asked, provided={}, rename=_same)
    finally:
        index.close()
    return {name: str(pinned.candidate.version) for name, pinned in found.packages.items()}


def uvs(case: Case, cache: Path, command: str) -> dict[str, str]:
    """Package -> version, by uv."""
    words = [command, "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--no-config"]
    words += ["--python-version", case.python, "--python-platform", "x86_64-manylinux_2_17"]
    words += ["--exclude-newer", case.day.isoformat(), "--cache-dir", str(cache)]
    environment = {**os.environ, "UV_DEFAULT_INDEX": user_config().index_url}
    asked = "".join(f"{text}\n" for text in case.wanted)
    done = subprocess.run(words, input=asked, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"uv: {done.stderr.strip()[-600:]}")
    pins = (line.split(";")[0].strip().split("==") for line in done.stdout.splitlines() if "==" in line)
    return {canonicalize_name(name.partition("[")[0]): version for name, version in pins}


def differences(case: Case, one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Packages on which the two differ without a listed reason."""
    return [
        f"{name}: envsolve {one.get(name, 'none')}, uv {other.get(name, 'none')}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name) and name not in case.different
    ]


def _same(name: str) -> str:
    return name


def _timed(rounds: int, run: object, case: Case, *more: str) -> tuple[float, float, dict[str, str]]:
    """Median seconds cold and warm, and what was found."""
    cold, warm, found = [], [], {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for times in (cold, warm):
                started = time.monotonic()
                found = run(case, Path(cache), *more)  # type: ignore[operator]
                times.append(time.monotonic() - started)
    return statistics.median(cold), statistics.median(warm), found


def main() -> None:
    """Print a row for each set; exit 1 on a difference nobody explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of: {', '.join(CASES)}")
    options = parser.parse_args()
    command = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if command is None:
        sys.exit("there is no uv here: pip install uv")
    print(f"{'set':<12}{'packages':>9}{'envsolve cold':>15}{'uv cold':>9}{'envsolve warm':>15}{'uv warm':>9}")
    found = []
    for name in options.sets or CASES:
        case = CASES[name]
        cold, warm, one = _timed(options.rounds, ours, case)
        uv_cold, uv_warm, other = _timed(options.rounds, uvs, case, command)
        print(f"{name:<12}{len(one):>9}{cold:>13.2f} s{uv_cold:>7.2f} s{warm:>13.2f} s{uv_warm:>7.2f} s", flush=True)
        found += [f"{name}: {line}" for line in differences(case, one, other)]
    print("\n".join(found) or "the same versions throughout")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
