"""A run: plan, read wheel after wheel, keep each record at once, say how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from envsolve.errors import NotReadyError
from envsolve.lock.index import Index
from harvest.errors import UnreadableError
from harvest.plan import Release, Settings, Stage, releases, selected
from harvest.record import READS, Reading, Record, identity, native_members, read_cheap, read_full, same
from harvest.store import Store
from harvest.transport import Remote
from harvest.zipdir import read_directory

TRIES = 3
"""Times that a wheel is tried when the index stops answering in the middle of it."""
_PAUSE_S = 20.0


@dataclass(frozen=True)
class Options:
    """``mode``: 'plan' (as the settings say), 'full' or 'cheap' for all. ``again``: read what has a record too."""

    mode: str = "plan"
    jobs: int = 1
    limit: int | None = None
    again: bool = False


class Run:
    """One call of the command."""

    def __init__(self, index: Index, settings: Settings, store: Store, options: Options) -> None:
        self._index, self._settings, self._store, self._options = index, settings, store, options
        self._mutex = Lock()

    def plan(self, names: Sequence[str]) -> list[Release]:
        """What is to be read, in the order of the stages; what has a record already is left out."""
        wanted = {name.partition("==")[0] for name in names} or self._settings.projects.keys()
        versions = {name for name in names if "==" in name}
        self._index.prefetch(sorted(wanted))
        known: dict[str, list[Release]] = {}
        work: dict[str, Release] = {}
        for stage in (*self._settings.stages, Stage(tuple(sorted(wanted)))):
            for package in selected(stage, [p for p in self._settings.projects if p in wanted]):
                if package not in known:
                    files = self._index.project(package).files
                    known[package] = releases(self._settings.projects[package], files, self._settings)
                for release in known[package]:
                    key = f"{package}=={release.version}"
                    if _in_stage(stage, release) and (not versions or key in versions or package in names):
                        work.setdefault(key, release)
        todo = [release for release in work.values() if self._options.again or not self._done(release)]
        return todo[: self._options.limit]

    def _whole(self, release: Release) -> bool:
        return self._options.mode == "full" or (self._options.mode == "plan" and release.full is not None)

    def _done(self, release: Release) -> bool:
        record = self._store.of(release.project.package).get(release.version)
        if record is None or record["sha256"] != release.chosen.sha256:
            return False
        return record["read"] in READS or not self._whole(release)

    def read(self, work: Sequence[Release]) -> int:
        """Read all -> how many could not be. Raises NotReadyError when the index is gone for good."""
        failed = 0
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.completed:.0f}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        total = sum(r.chosen.size for r in work if self._whole(r))
        with (
            Progress(*columns[1:], TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress,
            ThreadPoolExecutor(self._options.jobs, thread_name_prefix="wheel") as pool,
        ):
            task = progress.add_task("", total=total)
            for number, (release, future) in enumerate(_in_flight(pool, self._one, work, self._options.jobs), 1):
                failed += not future.result()
                progress.advance(task, release.chosen.size if self._whole(release) else 0)
                if not console.is_terminal:
                    print(f"{number} of {len(work)}", file=sys.stderr, flush=True)
        return failed

    def _one(self, release: Release) -> bool:
        started = time.monotonic()
        name = f"{release.project.package} {release.version}"
        for attempt in range(1, TRIES + 1):
            try:
                record, fetched = self._record(release)
            except (UnreadableError, NotReadyError) as error:
                text = error.message if isinstance(error, NotReadyError) else str(error)
                if isinstance(error, NotReadyError) and attempt < TRIES:
                    time.sleep(_PAUSE_S * attempt)
                    continue
                self._say(f"{name}: cannot be read: {text} ({release.chosen.filename})")
                return False
            self._store.put(record)
            self._say(_line(name, record, fetched, time.monotonic() - started))
            return True
        return False

    def _say(self, text: str) -> None:
        with self._mutex:
            print(text, file=sys.stderr, flush=True)

    def _record(self, release: Release) -> tuple[Record, int]:
        project = release.project
        base = identity(project.package, release.version, release.chosen, release.files)
        source = Remote(self._index, release.chosen)
        reading = Reading(self._settings.texts, self._settings.ptx_isa, project.count_cpu)
        if not self._whole(release):
            return base | read_cheap(source, reading)[0], source.fetched
        twin = self._twin(release, source)
        if twin is not None:
            return same(base | read_cheap(source, reading)[0], twin), source.fetched
        return base | {"why_full": release.full} | read_full(source, reading), source.fetched

    def _twin(self, release: Release, source: Remote) -> Record | None:
        """A record of the same version of another package with the same libraries."""
        candidates = [self._store.of(name).get(release.version) for name in release.project.twins]
        known = [record for record in candidates if record and record["read"] in READS]
        if not known:
            return None
        members = native_members(read_directory(source))
        return next((record for record in known if record["members"] == members and members), None)


def _in_stage(stage: Stage, release: Release) -> bool:
    if stage.versions:
        return release.version in stage.versions
    return stage.which == "all" or release.last


def _in_flight(
    pool: ThreadPoolExecutor, work: object, todo: Iterable[Release], jobs: int
) -> Iterable[tuple[Release, Future[bool]]]:
    """Submit as many as run at once, so that a stop does not wait for all of them."""
    running: dict[Future[bool], Release] = {}
    queue = iter(todo)
    while True:
        while len(running) < jobs and (release := next(queue, None)) is not None:
            running[pool.submit(work, release)] = release  # type: ignore[arg-type]
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future


def _line(name: str, record: Record, fetched: int, seconds: float) -> str:
    if record["read"] == "cheap":
        found = f"cuda {record['cuda']}"
    else:
        code = " ".join(record["sass"] + record["ptx"]) or "no GPU code"
        found = f"cuda {record['cuda']}, cudnn {record['cudnn']}, {code}"
    bad = f", unreadable: {'; '.join(record['unreadable'])}" if record.get("unreadable") else ""
    return f"{name}: {record['read']}, {found}, {fetched / 1e6:.0f} MB in {seconds:.0f} s{bad}"
