"""A smoke test's result as a fact for ``matrices/verified/``: what ran where, and nothing of whose machine it was."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve import __version__
from envsolve.data import data_dir
from envsolve.errors import UsageError
from envsolve.facts import Verified
from envsolve.models import Lock, SmokeReport
from envsolve.render import image_name, lock_hash

if TYPE_CHECKING:
    from datetime import date

OWN = "own check "
"""How the names of a user's own checks begin; they say nothing about the frameworks."""


def verified(lock: Lock, report: SmokeReport, today: date | None = None) -> Verified:
    """The fact that a smoke test of this lock proved, or disproved."""
    checks = [check for check in report.checks if not check.name.startswith(OWN)]
    stack, local = lock.stack, report.backend == "local"
    capabilities = sorted({f"sm{gpu.capability.replace('.', '')}" for gpu in report.gpus if gpu.capability})
    slug = image_name(lock).partition("/")[2].replace(":", "-")
    return Verified(
        id="-".join([slug, *capabilities, report.backend]),
        builds=tuple(sorted(f.build for f in stack.frameworks)),
        python=report.python or stack.python,
        os=report.os,
        image=None if local else lock.image.reference,
        engine=report.backend,
        machine=lock.host.machine,
        device=report.device,
        solved_for=stack.device,
        gpus=report.gpus,
        driver=report.driver,
        cuda=stack.cuda,
        cudnn=stack.cudnn,
        libraries={library.name: library.version for library in report.libraries if library.version},
        verdict=stack.verdict,
        ok=bool(checks) and all(check.ok for check in checks),
        ran=tuple(check.name for check in checks if check.ok),
        failed={check.name: _nameless(check.detail, report) for check in checks if not check.ok},
        unproven=report.unproven,
        first_ops=report.first_ops,
        lock=lock_hash(lock),
        checked=today or datetime.now(timezone.utc).date(),
        envsolve=__version__,
    )


def _nameless(detail: str, report: SmokeReport) -> str:
    """What was wrong, without the person's folders."""
    for path, name in ((report.subject, "PREFIX"), (str(Path.home()), "~")):
        if path.startswith("/") and len(path) > 1:
            detail = detail.replace(path, name)
    return detail or "nothing was said"


def destination(fact: Verified, chosen: Path | None = None) -> Path:
    """Where a fact goes: the file or folder chosen, the database of the checkout that runs, or the user's data."""
    if chosen is not None:
        return chosen / f"{fact.id}.json" if chosen.is_dir() else chosen
    database = data_dir("matrices")
    if (database.parent / ".git").exists():
        return database / "verified" / f"{fact.id}.json"
    import platformdirs

    return platformdirs.user_data_path("envsolve") / "verified" / f"{fact.id}.json"


def record(lock: Lock, report: SmokeReport, chosen: Path | None = None) -> Path:
    """Write the fact, whole or not at all -> where it went. Raises UsageError when it cannot be written."""
    fact = verified(lock, report)
    path = destination(fact, chosen)
    text = json.dumps(fact.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", code="bad-output") from error
    return path
