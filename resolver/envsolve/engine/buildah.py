"""buildah: images without a daemon, from the same Dockerfile. What it builds is in the storage that podman uses too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.engine.base import PROBE_DIRECTORY, PROBE_TIMEOUT_S, BuildSettings, Built, ProbeRun, processor_settings
from envsolve.engine.buildx import refuse_attest, stream
from envsolve.engine.context import (
    BuildLog,
    build_arguments,
    building_alone,
    fingerprint,
    images_given,
    labels_of,
    say_notes,
    secrets,
    staged,
)  # fmt: skip
from envsolve.engine.failures import build_failure
from envsolve.engine.platforms import fitted
from envsolve.engine.probing import probed
from envsolve.errors import NotReadyError
from envsolve.models import Lock

if TYPE_CHECKING:
    from envsolve.engine.run import Run
    from envsolve.talk import Talk

_CALL_S = 120
_SCRATCH = "/tmp"  # noqa: S108 (the container's)


class BuildahEngine:
    """Builds with ``buildah bud``, and runs with ``buildah run``. Its own settings hold, as BUILDAH_ISOLATION."""

    name = "buildah"

    def __init__(self) -> None:
        command = shutil.which("buildah")
        if command is None:
            raise NotReadyError(
                "there is no buildah on PATH",
                hints=("sudo apt-get install buildah", "envsolve build DIR --backend local   # no engine needed"),
                code="no-engine",
            )
        self.command = command

    # -- building ------------------------------------------------------------------------------------------------

    def build(self, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Built:
        """Build the image of a rendered folder; one of these very files is taken as it is.

        Raises NotReadyError (``disk-full``, ``no-base-image``, ``no-engine``) and BuildError.
        """
        from envsolve.render import image_name

        tag, started = image_name(lock), time.monotonic()
        refuse_attest(self.name, settings)
        settings = fitted(lock, settings, os.uname().machine, self.name, talk)
        with staged(folder, settings) as context, building_alone(self.name, tag):
            labels = labels_of(fingerprint(context), settings)
            there = None if settings.anew else self._built(tag, labels)
            if there is not None:
                talk.say(f"{self.name}: {tag} is there, made of these files")
                return there
            log_path = self._make(context, lock, labels, settings, talk)
        built = self._built(tag)
        if built is None:
            raise NotReadyError(f"{self.name} built {tag} and does not have it", hints=(f"less {log_path}",))
        return Built(self.name, built.subject, tag, log_path, time.monotonic() - started)

    def _make(self, context: Path, lock: Lock, labels: Mapping[str, str], settings: BuildSettings, talk: Talk) -> Path:
        from envsolve.render import image_name

        tag = image_name(lock)
        say_notes(lock, settings, talk)
        arguments = build_arguments(settings.container) | images_given(settings)
        log = BuildLog(tag.rpartition(":")[2], talk, secrets(arguments))
        # Docker's format, whose settings an image can hold in full; names of arguments only, as ``ps`` shows the rest
        words = [self.command, "bud", "--format=docker", "--tag", tag]
        words += ["--pull-always"] if settings.pull else ["--pull=false"]
        words += ["--no-cache"] if settings.no_cache else ["--layers"]
        words += [f"--network={settings.network}"] if settings.network else []
        words += [f"--platform={settings.platform}"] if settings.platform else []
        words += [word for name, value in sorted(labels.items()) for word in ("--label", f"{name}={value}")]
        words += [word for name in sorted(arguments) for word in ("--build-arg", name)]
        try:
            with talk.step(f"{self.name}: building {tag}"):
                code = stream([*words, str(context)], {**os.environ, **arguments}, log)
                if code:
                    said = next((line for line in reversed(log.tail) if line.startswith("Error: ")), None)
                    message = said or f"buildah bud ended with status {code}"
                    raise build_failure(log.tail, log.clean(message), lock, log.path, self.name)
        finally:
            log.close()
        return log.path

    def find(self, folder: Path, lock: Lock, settings: BuildSettings) -> Built | None:  # noqa: ARG002
        """The image that an earlier build of exactly this lock left."""
        from envsolve.render import image_name

        return self._built(image_name(lock))

    def _built(self, tag: str, labels: Mapping[str, str] | None = None) -> Built | None:
        done = self._call("inspect", "--type", "image", tag)
        if done.returncode:
            return None
        try:
            value: dict[str, Any] = json.loads(done.stdout)
            have = value["Docker"]["config"].get("Labels") or {}
            subject = str(value["FromImageID"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotReadyError(f"buildah inspect {tag} gave no answer that can be read", code="engine-lost") from error
        if any(have.get(name) != text for name, text in (labels or {}).items()):
            return None
        return Built(self.name, f"sha256:{subject}", tag)

    # -- running -------------------------------------------------------------------------------------------------

    def run_probe(
        self,
        built: Built,
        lock: Lock,
        folder: Path,  # noqa: ARG002 (the probe is in the image)
        talk: Talk,
        *,
        arguments: Sequence[str] = (),
        timeout_s: float = PROBE_TIMEOUT_S,
    ) -> ProbeRun:
        """Run the image's probe in a container that goes afterwards: no capabilities, not root, no network.

        Raises NotReadyError (``no-gpu-runtime``) for a GPU stack: it hands no GPU on.
        """
        from envsolve.render import UID

        _no_gpu(lock, built)
        started = time.monotonic()
        variables = {"HOME": _SCRATCH, "PYTHONDONTWRITEBYTECODE": "1"} | processor_settings()
        with self._container(built) as name:
            words = [self.command, "run", "--network=none", "--cap-drop=all", f"--user={UID}:{UID}"]
            words += [f"--workingdir={_SCRATCH}", *(f"--env={key}={value}" for key, value in variables.items()), name]
            words += ["--", lock.image.executable, f"{PROBE_DIRECTORY}/smoke.py", *arguments]
            return probed(words, timeout_s, talk, started)

    def run_command(self, built: Built, lock: Lock, run: Run) -> int:
        """A person's own command, with the current folder at its own path; its exit code."""
        from envsolve.engine.run import SHELL, environment, here_or_refused

        if run.gpus is not None:
            _no_gpu(lock, built)
        here = here_or_refused()
        with self._container(built) as name:
            words = [self.command, "run", f"--volume={here}:{here}", f"--workingdir={here}"]
            words += ["--user=0:0"]  # the person: rootless they are mapped to root, else they are root
            words += [f"--env={key}={value}" for key, value in environment(lock, run).items()]
            words += ["--terminal"] if sys.stdin.isatty() and sys.stdout.isatty() else []
            return subprocess.run([*words, name, "--", *(run.command or SHELL)], check=False).returncode

    @contextmanager
    def _container(self, built: Built) -> Iterator[str]:
        made = self._call("from", "--pull-never", built.tag or built.subject)
        if made.returncode:
            raise NotReadyError(
                f"buildah could not make a container of {built.tag}: {made.stderr.strip()[-300:]}", code="engine-lost"
            )
        name = made.stdout.strip()
        try:
            yield name
        finally:
            with suppress(NotReadyError):
                self._call("rm", name)

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.command, *words],
                capture_output=True, text=True, check=False, timeout=_CALL_S, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotReadyError(f"buildah {words[0]}: {error}", code="engine-lost") from error


def _no_gpu(lock: Lock, built: Built) -> None:
    if lock.stack.device == "gpu":
        raise NotReadyError(
            "buildah hands no GPU to what it runs; podman has the same images and does",
            hints=(f"podman run --rm --device nvidia.com/gpu=all {built.tag} {lock.image.executable} --version",),
            code="no-gpu-runtime",
        )
