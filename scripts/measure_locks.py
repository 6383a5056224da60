"""Lock real projects' requirements, install each lock into a fresh environment, and import all that it brought.

    python scripts/measure_locks.py --work FOLDER [--only ID...] [--again] [--jobs 1]
    python scripts/measure_locks.py --work FOLDER --report        # writes the table into docs/locks-measured.md

The cases are ``scripts/inputs/lock_cases.json``. For each, in folders of its own and with an empty cache: ``envsolve
TARGETS --gpu none --python X.Y --as-of DATE --backend local`` twice (cold, warm), then what ``envsolve build --backend
local`` makes of that, in a new prefix, and then an import of every top-level package of every distribution in it, in a
fresh process a distribution. What came of a case is a line of ``FOLDER/results.jsonl``; a case that has one, unchanged
since, is not run again. The environment is removed afterwards. Exit: 0; 1 when a case did not come to what the cases
file says; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timezone
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
CASES = HERE / "inputs" / "lock_cases.json"
REPORT = HERE.parent / "docs" / "locks-measured.md"
BEGIN, END = "<!-- cases: begin -->", "<!-- cases: end -->"

LOCK_LIMIT_S = 300
BUILD_LIMIT_S = 1800
IMPORT_LIMIT_S = 180
"""For one distribution: TensorFlow alone needs seconds on a quiet machine."""

_IMPORTER = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        error = None
    except BaseException as caught:
        error = '%s: %s' % (type(caught).__name__, caught)
    sys.__stdout__.write('\\nenvsolve-import ' + json.dumps([name, error]) + '\\n')
    sys.__stdout__.flush()
"""
_SAID = "envsolve-import "
_SAID_MOST = 900
"""Characters of an error that are kept."""

_BUILDER = """
import sys
from pathlib import Path
from envsolve.engine.base import BuildSettings
from envsolve.engine.local import LocalEngine
from envsolve.errors import EnvsolveError
from envsolve.lock.document import load
from envsolve.talk import Talk
folder, prefix = map(Path, sys.argv[1:])
lock = load((folder / "envsolve.lock").read_text(encoding="utf-8"))
try:
    print(LocalEngine().build(folder, lock, BuildSettings(prefix=prefix), Talk()).seconds)
except EnvsolveError as error:
    sys.exit("\\n".join([error.message, *error.facts]))
"""
"""``envsolve build --backend local`` less the smoke test, whose place the imports take here."""


# -- what a distribution brings ------------------------------------------------------------------------------


def modules(distribution: Distribution) -> list[str]:
    """Its top-level names: of top_level.txt, else of the files that its record lists."""
    stated = (distribution.read_text("top_level.txt") or "").split()
    if stated:  # some list the folders below as well
        return sorted({name.partition("/")[0] for name in stated})
    files = [file.parts for file in distribution.files or ()]
    packages = {parts[0] for parts in files if len(parts) > 1 and parts[1] == "__init__.py"}
    single = {parts[0].split(".")[0] for parts in files if len(parts) == 1 and parts[0].endswith((".py", ".so"))}
    spaces = {parts[0] for parts in files if len(parts) > 2 and parts[-1] == "__init__.py"} - packages
    return sorted(name for name in packages | single | spaces if name.isidentifier())


def installed(prefix: Path) -> dict[str, list[str]]:
    """Distribution -> its top-level names, for all that the environment holds."""
    (site,) = (prefix / "lib").glob("python*/site-packages")
    found = {canonicalize_name(d.metadata["Name"]): modules(d) for d in distributions(path=[str(site)])}
    return dict(sorted(found.items()))


def imports(prefix: Path, home: Path) -> Iterator[dict[str, Any]]:
    """A row for every top-level name: imported in a process of its distribution, without a network's or GPU's help."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}
    environment["CUDA_VISIBLE_DEVICES"] = "-1"
    for distribution, names in installed(prefix).items():
        command = [str(prefix / "bin" / "python"), "-c", _IMPORTER, *names]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, errors="replace", env=environment, cwd=home, check=False,
                timeout=IMPORT_LIMIT_S, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            ended, said = f"the process ended with {run.returncode}", run.stdout
        except subprocess.TimeoutExpired as error:
            ended, said = f"not done in {IMPORT_LIMIT_S} s", (error.stdout or b"").decode(errors="replace")
        lines = (line for line in said.splitlines() if line.startswith(_SAID))
        came = dict(json.loads(line.removeprefix(_SAID)) for line in lines)
        for name in names:
            yield {"distribution": distribution, "module": name, "error": came.get(name, ended)}


# -- a case --------------------------------------------------------------------------------------------------


def run_case(case: dict[str, Any], work: Path) -> dict[str, Any]:
    """What came of a case. Its folder is removed, its log stays."""
    folder = work / case["id"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        return {"case": case["id"], "digest": digest(case), "day": _today(), **_measured(case, folder)}
    except subprocess.TimeoutExpired as error:
        said = f"not done in {error.timeout} s"
        return {"case": case["id"], "digest": digest(case), "day": _today(), "failed": "time", "said": said}
    finally:
        for log in folder.glob("*.log"):
            log.replace(work / f"{case['id']}-{log.name}")
        shutil.rmtree(folder, ignore_errors=True)


def _measured(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    options = ["--gpu", "none", "--python", case["python"], "--as-of", case["date"], "--backend", "local"]
    command = [*case["targets"], *options, "-o", str(folder / "out"), "--json"]
    found: dict[str, Any] = {}
    for name in ("cold_s", "warm_s"):
        started = time.monotonic()
        run = _python(["-m", "envsolve", *command, "--force"], folder, "lock", LOCK_LIMIT_S)
        found[name] = round(time.monotonic() - started, 2)
        if run.returncode:
            return found | {"failed": "lock", "said": _said(run)}
    lock = json.loads((folder / "out" / "envsolve.lock").read_text())
    found["packages"] = len(lock["packages"])
    found["sdists"] = sum(package["phase"] == "sdist" for package in lock["packages"])
    prefix = folder / "prefix"
    run = _python(["-c", _BUILDER, str(folder / "out"), str(prefix)], folder, "build", BUILD_LIMIT_S)
    if run.returncode:
        return found | {"failed": "install", "said": _said(run)}
    found["install_s"] = round(float(run.stdout), 1)
    started = time.monotonic()
    rows = list(imports(prefix, folder))
    locked = {package["name"] for package in lock["packages"]}
    absent = sorted(locked - {row["distribution"] for row in rows} - set(installed(prefix)))
    found["import_s"] = round(time.monotonic() - started, 1)
    return found | {"modules": len(rows), "bad": [row for row in rows if row["error"]], "absent": absent}


def _python(words: Sequence[str], folder: Path, name: str, limit_s: int) -> subprocess.CompletedProcess[str]:
    """The product with folders of its own, so that nothing is there already."""
    own = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "DATA", "STATE")}
    run = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, **own}, timeout=limit_s, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with (folder / f"{name}.log").open("a", encoding="utf-8") as log:
        log.write(f"$ python {' '.join(words)}\n{run.stderr}\n{run.stdout}\n")
        for more in sorted((folder / "state").rglob("*.log")) if run.returncode else ():
            log.write(more.read_text(errors="replace"))
    return run


def _said(run: subprocess.CompletedProcess[str]) -> str:
    """The error, or the first reason why not, as the product words it."""
    try:
        document = json.loads(run.stdout)
    except ValueError:
        return (run.stderr or run.stdout).strip()[-_SAID_MOST:]
    if document.get("conflict"):
        return "; ".join(reason["text"] for reason in document["conflict"]["cores"][0])[:_SAID_MOST]
    error = document.get("error", document)
    return "; ".join([error["message"], *error.get("facts", ())])[:_SAID_MOST]


def digest(case: dict[str, Any]) -> str:
    """Of what a result depends on."""
    text = json.dumps([case["python"], case["date"], case["targets"]])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _today() -> str:
    return datetime.now(tz=timezone.utc).date().isoformat()


# -- what was to be expected ---------------------------------------------------------------------------------


def unexpected(result: dict[str, Any], expected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The failed imports for which the cases file has no reason."""
    return [
        row
        for row in result.get("bad", ())
        if not any(
            e["distribution"] == row["distribution"]
            and e["module"] in (row["module"], "*")
            and e["error"] in row["error"]
            for e in expected
        )
    ]


def verdict(case: dict[str, Any], result: dict[str, Any], expected: Sequence[dict[str, Any]]) -> str:
    """'installed', 'no' (as the cases file says), or 'FAILED' with what."""
    answer = case.get("answer")
    if result.get("failed"):
        ok = result["failed"] == "lock" and answer is not None and answer in result["said"]
        return "no" if ok else f"FAILED: {result['failed']}: {result['said']}"
    wrong = [f"{row['distribution']}: import {row['module']}: {row['error']}" for row in unexpected(result, expected)]
    wrong += [f"{name} is not there" for name in result["absent"]]
    wrong += ["it was said to be impossible"] if answer else []
    return f"FAILED: {'; '.join(wrong)}" if wrong else "installed"


# -- the report ----------------------------------------------------------------------------------------------


def table(document: dict[str, Any], results: dict[str, dict[str, Any]]) -> str:
    """Markdown: how many, when, a row for each case, and the imports that are not expected to work."""
    cases = [c for c in document["cases"] if results.get(c["id"], {}).get("digest") == digest(c)]
    verdicts = {c["id"]: verdict(c, results[c["id"]], document["expected"]) for c in cases}
    days = sorted(results[c["id"]]["day"] for c in cases)
    count = sum(v == "installed" for v in verdicts.values())
    total = sum(results[c["id"]].get("modules", 0) for c in cases)
    bad = sum(len(results[c["id"]].get("bad", ())) for c in cases)
    failed = sum(v.startswith("FAILED") for v in verdicts.values())
    counts = f"{count} cases installed, {len(cases) - count - failed} answered with a no, {failed} failed"
    measured = " to ".join(sorted({*days[:1], *days[-1:]}))
    lines = [
        f"{counts}; {total - bad} of {total} top-level names imported. Measured {measured}.",
        "",
        "| case | project, its date | Python | packages (sdists) | lock cold / warm, s | install, s | imports |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(case, results[case["id"]], verdicts[case["id"]]) for case in cases]
    used = [e for e in document["expected"] if _used(e, results.values())]
    if used:
        lines += ["", "Imports that are not expected to work:", ""]
        lines += [f"- `{e['module']}` of {e['distribution']} ({e['error']}): {e['why']}" for e in used]
    return "\n".join(lines)


def _used(entry: dict[str, Any], results: Iterable[dict[str, Any]]) -> bool:
    return any(len(unexpected(r, [entry])) < len(r.get("bad", ())) for r in results)


def _row(case: dict[str, Any], result: dict[str, Any], said: str) -> str:
    head = f"| {case['id']} | {case['repo']}, {case['date']} | {case['python']} |"
    times = f"{result.get('cold_s', 0):.1f} / {result['warm_s']:.1f}" if "warm_s" in result else "-"
    if result.get("failed"):
        why = f"no: {case['answer']}" if said == "no" else f"FAILED: {result['failed']}"
        return f"{head} - | {times} | - | {why} |"
    count = result["modules"] - len(result["bad"])
    what = f"{count}/{result['modules']}"
    if said != "installed":  # an error's own text holds paths of the machine, and is long
        what += f" FAILED: {', '.join(sorted({row['module'] for row in result['bad']}) + result['absent'])}"
    return f"{head} {result['packages']} ({result['sdists']}) | {times} | {result['install_s']:.0f} | {what} |"


def write_report(text: str) -> None:
    """Put the table between the page's two marks."""
    page = REPORT.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    REPORT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run what has no result yet, say how each case came out, and with ``--report`` write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for results and environments")
    parser.add_argument("--only", nargs="+", default=(), metavar="ID")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="run nothing, write the table")
    options = parser.parse_args()
    document = json.loads(CASES.read_text(encoding="utf-8"))
    known = [case["id"] for case in document["cases"]]
    if strange := set(options.only) - set(known):
        parser.error(f"no such case: {', '.join(sorted(strange))}")
    options.work.mkdir(parents=True, exist_ok=True)
    store = options.work.resolve() / "results.jsonl"
    held = (options.work / "held").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        parser.error(f"another run is using {options.work}")
    lines = store.read_text(encoding="utf-8").splitlines() if store.exists() else []
    results = {row["case"]: row for row in map(json.loads, lines)}
    if options.report:
        write_report(table(document, results))
    wanted = [case for case in document["cases"] if not options.only or case["id"] in options.only]
    wanted.sort(key=lambda case: options.only.index(case["id"]) if options.only else 0)
    fresh = [c for c in wanted if not options.again and results.get(c["id"], {}).get("digest") == digest(c)]
    left = [] if options.report else [case for case in wanted if case not in fresh]
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in as_completed([pool.submit(run_case, case, options.work.resolve()) for case in left]):
            result = done.result()
            results[result["case"]] = result
            with store.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")
            (case,) = (c for c in left if c["id"] == result["case"])
            print(f"{case['id']}: {verdict(case, result, document['expected'])}", flush=True)
    judged = [verdict(c, results[c["id"]], document["expected"]) for c in wanted if c["id"] in results]
    print(f"{len(wanted)} cases: {judged.count('installed')} installed, {judged.count('no')} answered with a no")
    sys.exit(sum(v in ("installed", "no") for v in judged) < len(wanted))


if __name__ == "__main__":
    main()
