"""How scripts run in the environments made from them alone: ``measure_runs.py --corpus DIR --scripts DIR --work DIR``.

For each script of ``gists_*.json``: ``envsolve scan SCRIPT --solve --backend local --gpu none`` writes a folder, the
local engine builds it as ``--build`` does, without the smoke probe, and the script runs in it without a network for 40
seconds. Nothing is looked up by id or content. Scripts whose locks are the same share one environment, which is
changed into that of the nearest other lock where only packages beside the common ones differ: one stands at a time.

``WORK/records.jsonl`` has a line for each run; what has one is not run again while its lock stays the same: stop and
go on as you like. ``WORK/locks`` keeps the lock of each request: remove it when the database or the resolver changed.

Two counts: weak, the script ends not in an ImportError; strict, it ends neither in that nor in an error that another
version of Python or of a package may not have: of the syntax, of a name, an attribute or a signature, any TypeError,
something removed, any crash. Missing data, arguments and a network are no fault of an environment.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from measure_scan import rows

from envsolve.engine import local, pip
from envsolve.engine.base import BuildSettings
from envsolve.engine.local import LocalEngine
from envsolve.errors import EnvsolveError
from envsolve.folder import read_lock
from envsolve.lock.document import requirement_lines
from envsolve.lock.pipconfig import user_config
from envsolve.matrices import load
from envsolve.models import Lock
from envsolve.scan.project import scan_path
from envsolve.talk import Talk

LIMIT_S = 40
_SOLVE_LIMIT_S = 600
_WRONG = (
    ("syntax", r"^(SyntaxError|TabError|IndentationError)"),
    ("import", r"^(ImportError|ModuleNotFoundError)|No module named"),
    ("name", r"^(NameError|UnboundLocalError)"),
    ("attribute", r"^AttributeError"),
    ("signature", r"^TypeError|named arguments|unexpected keyword"),
    ("removed", r"has been (deprecated|removed)|no longer (supported|available)"),
)
WEAK = ("import", "not solved", "not built")


def solved(path: Path, targets: Sequence[str], python: str | None, work: Path) -> tuple[Path | None, str, float]:
    """The folder that ``scan --solve`` writes for a script, or why there is none; wall seconds, 0 for one kept."""
    key = hashlib.sha256(json.dumps([list(targets), python]).encode()).hexdigest()[:16]
    folder, failed = work / "locks" / key, work / "locks" / f"{key}.error"
    if (folder / "envsolve.lock").is_file():
        return folder, "", 0.0
    if failed.is_file():
        return None, failed.read_text(), 0.0
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "envsolve", "scan", str(path), "--solve", "--backend", "local", "--gpu", "none"]
    command += ["-o", str(folder), "--force", "--quiet"]
    started = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, timeout=_SOLVE_LIMIT_S, check=False)
    took = time.monotonic() - started
    if run.returncode == 0:
        return folder, "", took
    error = "\n".join(run.stderr.strip().splitlines()[:6])
    failed.write_text(error)
    return None, error, took


def built(lock: Lock, folder: Path, prefix: Path, before: Lock | None) -> tuple[Path | None, str, float]:
    """The Python of the environment of a folder, or why there is none; wall seconds.

    Where the prefix holds the environment of a lock (``before``) of the same Python that differs only in having other
    packages beside the common ones, those are taken out and put in; else it is made anew by the local engine.
    """
    started = time.monotonic()
    try:
        if before is None or distance(before, lock) is None:
            shutil.rmtree(prefix, ignore_errors=True)
            LocalEngine().build(folder, lock, BuildSettings(prefix=prefix), Talk(quiet=True))
        else:
            _change(lock, prefix, before)
    except EnvsolveError as error:
        return None, "\n".join([error.message, *error.facts])[:600], time.monotonic() - started
    return prefix / "bin" / "python", "", time.monotonic() - started


def distance(before: Lock, lock: Lock) -> int | None:
    """How many packages one lock has more or less than the other; None when that is not all that tells them apart."""
    if (before.stack.python, before.environment) != (lock.stack.python, lock.environment):
        return None
    old, new = ({p.name: p.sha256 for p in each.packages} for each in (before, lock))
    common = old.keys() & new.keys()
    if any(old[name] != new[name] for name in common) or not {"pip", "numpy"} <= common:
        return None
    apart = len(old) + len(new) - 2 * len(common)
    return apart if apart <= len(common) else None


def _change(lock: Lock, prefix: Path, before: Lock) -> None:
    """Make of the environment of one lock that of another."""
    had, wanted = {p.name for p in before.packages}, {p.name for p in lock.packages}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        variables = pip.environment(user_config(), home)
        program = [str(prefix / "bin" / "python"), "-m", "pip"]
        if had - wanted:
            pip.run([*program, "uninstall", "-y", *sorted(had - wanted)], variables, lambda _: None, cwd=home)
        for title, options, index, packages in local.pip_runs(lock):
            more = [p for p in packages if p.name not in had]
            if more:
                file = home / f"{title}.txt"
                file.write_text(requirement_lines(more, index))
                command = [*program, "install", "--require-hashes", "--no-deps", *options, "-r", str(file)]
                pip.run(command, variables, lambda _: None, cwd=home)


def ended(python: Path, source: Path, work: Path) -> tuple[str, str, float]:
    """Run a script alone: (kind, last words, wall seconds). Kind: ended, time, error, or one of those in _WRONG."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "snippet.py").write_bytes(source.read_bytes())
    settings = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8", "HOME": str(work), "PATH": os.defpath}
    alone = ["unshare", "-rn"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode != 0:
        raise SystemExit("unshare -rn does not work here: nothing would keep the scripts from the network")
    started = time.monotonic()
    with (work / ".said").open("w+", errors="replace") as said:
        process = subprocess.Popen(
            [*alone, str(python), "snippet.py"], cwd=work, env=settings, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return "time", "", time.monotonic() - started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        took = time.monotonic() - started
        said.seek(0)
        text = said.read()[-20000:]
    if code == 0:
        return "ended", "", took
    if code < 0 or code > 128:
        return "crash", f"ended by signal {-code if code < 0 else code - 128}", took
    kind = next((k for k, pattern in _WRONG if re.search(pattern, _last(text))), "error")
    return kind, f"{_last(text)}  [{_where(text)}]", took


def _last(text: str) -> str:
    found = re.findall(
        r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Warning)\b.*)", text, re.MULTILINE
    )
    return str((found or text.strip().splitlines()[-1:] or [""])[-1])[:300]


def _where(text: str) -> str:
    """The last place in the script, and the last at all, of a traceback."""
    places = re.findall(r'File "([^"]+)", line (\d+)', text)
    own = [f"snippet.py:{line}" for name, line in places if name == "snippet.py"][-1:]
    deep = [f"{name.rpartition('site-packages/')[2]}:{line}" for name, line in places[-1:] if name != "snippet.py"]
    return " ".join([*own, *deep])


def measure(chosen: Sequence[Path], work: Path) -> list[dict[str, Any]]:
    """The records of the scripts, made where they are missing."""
    facts = load()
    journal = work / "records.jsonl"
    known = (
        {(r["id"], r["key"]): r for r in map(json.loads, journal.read_text().splitlines())} if journal.exists() else {}
    )
    groups: dict[str, list[tuple[Path, Path, dict[str, Any]]]] = {}
    found: list[dict[str, Any]] = []

    def keep(record: dict[str, Any]) -> None:
        record["strict"] = record["kind"] in ("ended", "time", "error")
        record["weak"] = record["kind"] not in WEAK
        found.append(record)
        with journal.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(_line(record), flush=True)

    for path in chosen:
        scan = scan_path(path, facts)
        folder, why, took = solved(path, scan.solvable() if scan.targets else [], scan.python, work)
        record: dict[str, Any] = {
            "id": path.stem,
            "targets": scan.targets,
            "python": scan.python,
            "solve_s": round(took, 1),
        }
        if folder is None:
            old = known.get((path.stem, why))
            found.append(old) if old else keep(record | {"key": why, "kind": "not solved", "said": why})
            continue
        lock = read_lock(folder)
        key = hashlib.sha256(
            json.dumps(sorted([p.name, p.version, p.sha256] for p in lock.packages)).encode()
        ).hexdigest()[:16]
        record |= {"key": key, "runs_python": lock.stack.python}
        old = known.get((path.stem, key))
        if old:
            found.append(old)
        else:
            groups.setdefault(key, []).append((path, folder, record))
    prefix, standing = work / "prefix", work / "standing"  # the folder of whose lock the prefix is
    before = read_lock(Path(standing.read_text())) if standing.exists() else None
    while groups:
        group = groups.pop(_next(groups, before))
        lock = read_lock(group[0][1])
        standing.unlink(missing_ok=True)
        python, why, took = built(lock, group[0][1], prefix, before)
        before = lock if python else None
        if before:
            standing.write_text(str(group[0][1]))
        for path, _, record in group:
            record["build_s"], took = round(took, 1), 0.0
            if python is None:
                keep(record | {"kind": "not built", "said": why})
                continue
            kind, said, seconds = ended(python, path, work / "run")
            keep(record | {"kind": kind, "said": said, "run_s": round(seconds, 1)})
    return found


def _next(groups: dict[str, list[tuple[Path, Path, dict[str, Any]]]], before: Lock | None) -> str:
    """The lock nearest to the one whose environment stands; else that of the most scripts."""
    near = {key: distance(before, read_lock(group[0][1])) for key, group in groups.items()} if before else {}
    known = {key: apart for key, apart in near.items() if apart is not None}
    return min(known, key=lambda k: known[k]) if known else max(groups, key=lambda k: len(groups[k]))


def _line(r: dict[str, Any]) -> str:
    times = f"solve {r['solve_s']} build {r.get('build_s', '-')} run {r.get('run_s', '-')}"
    return f"{r['id'][:8]} {' '.join(r['targets'])} py {r.get('runs_python')} ({times}): {r['kind']} {r['said'][:300]}"


def summary(records: Iterable[dict[str, Any]]) -> str:
    """The counts, over all and by Python, the kinds of end, and the time."""
    some = list(records)
    lines = [f"{len(some)} scripts: weak {sum(r['weak'] for r in some)}, strict {sum(r['strict'] for r in some)}"]
    for python in sorted({str(r.get("runs_python")) for r in some}):
        part = [r for r in some if str(r.get("runs_python")) == python]
        weak, strict = (sum(r[count] for r in part) for count in ("weak", "strict"))
        lines.append(f"  Python {python}: {len(part)}, weak {weak}, strict {strict}")
    kinds = Counter(r["kind"] for r in some)
    lines.append("  " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    lines += [f"  {step}: {sum(r.get(step, 0) for r in some):.0f} in all" for step in ("solve_s", "build_s", "run_s")]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--scripts", type=Path, required=True, metavar="DIR", help="a file ID.py for each script")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="records, locks, the environment")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth script of the corpus")
    parser.add_argument("--only", nargs="*", default=(), metavar="ID", help="only scripts whose id begins so")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    ids = [row["id"] for row in rows(options.corpus, "gists_*.json", "scripts")][:: options.every]
    ids = [i for i in ids if not options.only or i.startswith(tuple(options.only))]
    paths = [options.scripts / f"{i}.py" for i in ids]
    print(summary(measure([p for p in paths if p.is_file()], options.work.absolute())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
