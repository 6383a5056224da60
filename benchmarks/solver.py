"""The solver alone: warm optimum and full why-not, at the database's size and at 10 and 50 times as many rows.

    python benchmarks/solver.py [--runs 20] [--times 1 10 50]

The larger databases hold every build and base image many times, as post-releases that differ from the real ones in
nothing but their number: what grows is what the solver has to weigh. Figures are medians; the ratio is to reading
the same rows with json.loads in the same run, which no answer from them can avoid.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from envsolve.gpus import parse_gpu
from envsolve.matrices import Facts, load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver import solve
from envsolve.solver.question import Question

QUESTIONS = {
    "optimum": (["tf==1.4", "keras==2.0.8"], {"gpu": ("GTX 1080",), "driver": "535.104"}),
    "why-not": (["tf==1.4", "keras==2.0.8"], {"gpu": ("RTX 3090",), "driver": "440.33", "require_gpu": True,
                                              "python": "3.8"}),
}  # fmt: skip


PLAIN = re.compile(r"[0-9.]+")
"""Versions of which there can be a post-release."""


def enlarged(root: Path, target: Path, times: int) -> Path:
    """A copy of the database with every build and image so many times."""
    shutil.copytree(root, target)
    for path in (target / "frameworks").glob("*.json"):
        content = json.loads(path.read_text())
        content["builds"] = [
            row if not k else row | {"version": f"{row['version']}.post{900 + k}"}
            for row in content["builds"] for k in range(times if PLAIN.fullmatch(row["version"]) else 1)
        ]  # fmt: skip
        path.write_text(json.dumps(content))
    images = json.loads((target / "images.json").read_text())
    images["images"] = [
        row if not k else row | {"id": f"{row['id']}-copy{k}"}
        for row in images["images"] for k in range(times if not row.get("framework") else 1)
    ]  # fmt: skip
    (target / "images.json").write_text(json.dumps(images))
    return target


def median_ms(run: Callable[[], object], runs: int) -> float:
    """Median processor time of one call, in milliseconds: other work on the machine disturbs it least."""
    took = []
    for _ in range(runs):
        start = time.process_time()
        run()
        took.append(time.process_time() - start)
    return 1000 * statistics.median(took)


def question(name: str, facts: Facts) -> Question:
    """One of the questions, not yet asked."""
    words, options = QUESTIONS[name]
    request = build_request(words, facts, **options)  # type: ignore[arg-type]
    gpus = tuple(parse_gpu(text, facts) for text in request.gpu)
    return Question(request, Host(driver=request.driver, gpus=gpus), facts)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 50])
    options = parser.parse_args()
    print(f"{'rows':>6} {'warm optimum':>14} {'making the rules':>18} {'full why-not':>14} {'json.loads':>12}  ratios")
    with tempfile.TemporaryDirectory() as folder:
        for times in options.times:
            print(line(enlarged(load().root, Path(folder) / str(times), times), options.runs, times))


def line(root: Path, runs: int, times: int) -> str:
    """The figures of one database."""
    facts = load(root)
    files = [path.read_bytes() for path in facts.files()]
    rows = sum(len(facts.framework(n).builds) for n in facts.framework_names()) + len(facts.images)
    few = max(3, runs // times)
    warm, why = question("optimum", facts), question("why-not", facts)
    warm.problem.best(warm.wishes)
    solve(why.request, why.host, facts)
    best = median_ms(lambda: warm.problem.best(warm.wishes), runs)
    make = median_ms(lambda: question("optimum", facts).problem._tables_for_all(), few)
    refused = median_ms(lambda: (why.proved.clear(), why.solution()), few)
    peer = median_ms(lambda: [json.loads(text) for text in files], few)
    ratios = " / ".join(f"{value / peer:.2f}" for value in (best, make, refused))
    return f"{rows:>6} {best:>11.1f} ms {make:>15.1f} ms {refused:>11.1f} ms {peer:>9.1f} ms  {ratios}"


if __name__ == "__main__":
    main()
