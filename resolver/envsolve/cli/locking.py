"""``envsolve lock``, ``vendor`` and ``render``: the files of a folder."""

from __future__ import annotations

from pathlib import Path

from envsolve.cli.common import backend_named, database, lock_of
from envsolve.cli.options import (
    Apptainer,
    AsOf,
    BackendName,
    CacheMounts,
    Check,
    Compose,
    Devcontainer,
    Folder,
    Force,
    Json,
    Offline,
    OwnFacts,
    Quiet,
    Upgrade,
)
from envsolve.errors import UsageError
from envsolve.present import emit, emit_json
from envsolve.talk import Talk


def lock(
    folder: Folder,
    check: Check = False,
    upgrade: Upgrade = None,
    as_of: AsOf = None,
    force: Force = False,
    facts: OwnFacts = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lock a folder again from its own request, check that nothing would change, or upgrade a package of it."""
    from envsolve import folder as folders
    from envsolve import pipeline
    from envsolve.lock.changes import changes, lines
    from envsolve.request import parse_day

    if check and upgrade:
        raise UsageError("--check writes nothing, --upgrade does", code="contradictory-options")
    old, talk, day = lock_of(folder), Talk(quiet), parse_day(as_of) if as_of else None
    own = database(facts) if facts else None
    with talk.step("lock"):
        new = pipeline.relock(old, facts=own, offline=offline, upgrade=upgrade or (), as_of=day, talk=talk)
    if check:
        pipeline.check_lock(old, new, pipeline.index_fates(old, offline=offline))
        talk.say(f"{folder} is up to date")
        return
    folders.write(Path(folder), pipeline.rendered(new, Path(folder)), force=force)
    moved = changes(old, new)
    if json:
        emit_json({"schema": "envsolve/lock-changes-1", "changes": [change.document() for change in moved]})
    else:
        emit("\n".join(lines(moved)) or "nothing moved")


def vendor(
    folder: Folder,
    backend: BackendName = None,
    force: Force = False,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring all that a build needs into DIR/vendor (locked files, base image), so that it needs no network."""
    from envsolve import folder as folders
    from envsolve import offline as offlines
    from envsolve import pipeline

    place, locked = Path(folder), lock_of(folder)
    report = offlines.vendor(place, locked, Talk(quiet), backend=backend_named(backend, None), offline=offline)
    folders.write(place, pipeline.rendered(locked, place), force=force)
    emit_json(report.document()) if json else emit(report.text())


def render(
    folder: Folder,
    check: Check = False,
    force: Force = False,
    compose: Compose = False,
    devcontainer: Devcontainer = False,
    apptainer: Apptainer = False,
    cache_mounts: CacheMounts = False,
) -> None:
    """Write a folder's files again from its lock, or check that they are what it gives."""
    from envsolve import extras, pipeline
    from envsolve import folder as folders

    more = extras.asked(compose=compose, devcontainer=devcontainer, apptainer=apptainer, cache_mounts=cache_mounts)
    files = pipeline.rendered(lock_of(folder), Path(folder), more)
    if check:
        pipeline.check_files(Path(folder), files)
    else:
        folders.write(Path(folder), files, force=force)
