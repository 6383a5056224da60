"""Apptainer (or Singularity): one file ``DIR.sif`` beside the folder, built from ``apptainer.def`` without a daemon.

Written by Apptainer's documentation and sources; where this was written no apptainer could be installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve import scratch
from envsolve.engine.base import PROBE_DIRECTORY, PROBE_TIMEOUT_S, BuildSettings, Built, ProbeRun, processor_settings
from envsolve.engine.buildx import refuse_attest, stream
from envsolve.engine.context import BuildLog, build_arguments, building_alone, fingerprint, say_notes, secrets, staged
from envsolve.engine.failures import build_failure
from envsolve.engine.platforms import of_lock, of_machine
from envsolve.engine.probing import probed
from envsolve.errors import NotReadyError
from envsolve.extras import APPTAINER
from envsolve.lock.pylock import VENDOR
from envsolve.lock.vendoring import IMAGE

if TYPE_CHECKING:
    from envsolve.engine.run import Run
    from envsolve.models import Lock
    from envsolve.talk import Talk

_COMMANDS = ("apptainer", "singularity")
_CALL_S = 60
_MADE_OF = "dev.envsolve.made-of"
_LOCK = "dev.envsolve.lock-hash"
_SCRATCH = "/tmp"  # noqa: S108 (the container's)
_CACHE = "/cache"
"""Where the folder for compiled code is bound: under HOME it would lie in what Apptainer puts there itself."""


class ApptainerEngine:
    """Builds with ``apptainer build``, runs with ``apptainer exec``. Its own settings hold, as APPTAINER_TMPDIR."""

    name = "apptainer"

    def __init__(self) -> None:
        command = next((found for name in _COMMANDS if (found := shutil.which(name))), None)
        if command is None:
            raise NotReadyError(
                "there is neither apptainer nor singularity on PATH",
                hints=(
                    "sudo dnf install apptainer   # Fedora, EPEL",
                    "sudo apt-get install apptainer   # Ubuntu: its newest, or with ppa:apptainer/ppa",
                    "envsolve render DIR --apptainer   # the definition, to be built where it is",
                    "envsolve build DIR --backend local   # no engine needed",
                ),
                code="no-engine",
            )
        self.command = command

    # -- building ------------------------------------------------------------------------------------------------

    def build(self, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Built:
        """Build ``DIR.sif``; one of these very files is taken as it is. What was there stays until the new one is done.

        Raises NotReadyError (``disk-full``, ``no-base-image``, ``build-busy``) and BuildError.
        """
        from envsolve.render import image_name

        target, tag, started = image_file(folder), image_name(lock), time.monotonic()
        refuse_attest(self.name, settings)
        refuse_other_platform(lock, settings)
        with staged(folder, settings) as context, building_alone(self.name, tag):
            text = staged_definition(folder, context, lock, settings)
            labels = self._labels(target)
            if not settings.anew and f"\n    {_MADE_OF} {labels.get(_MADE_OF)}\n" in text:
                talk.say(f"{self.name}: {target} is there, made of these files")
                return _built(target)
            log = self._make(context, target, lock, settings, talk)
        return Built(self.name, str(target), None, log, time.monotonic() - started, target.stat().st_size)

    def _make(self, context: Path, target: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Path:
        from envsolve.render import image_name

        say_notes(lock, settings, talk)
        arguments = build_arguments(settings.container)
        log = BuildLog(image_name(lock).rpartition(":")[2], talk, secrets(arguments))
        part = target.with_name(f".{target.name}.part")
        try:
            with talk.step(f"{self.name}: building {target}"):
                words = build_words(self.command, part, settings)
                code = stream(words, {**os.environ, **arguments}, log, context)
                if code or not part.is_file():
                    said = next((line for line in reversed(log.tail) if line.startswith("FATAL:")), None)
                    message = said or f"apptainer build ended with status {code}"
                    raise build_failure(log.tail, log.clean(message), lock, log.path, self.name)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
            log.close()
        return log.path

    def find(self, folder: Path, lock: Lock, settings: BuildSettings) -> Built | None:  # noqa: ARG002
        """The file that an earlier build of exactly this lock left."""
        from envsolve.render import lock_hash

        target = image_file(folder)
        return _built(target) if self._labels(target).get(_LOCK) == f"sha256:{lock_hash(lock)}" else None

    def _labels(self, target: Path) -> Mapping[str, str]:
        """The labels of a file; none where there is none, or none that can be read."""
        if not target.is_file():
            return {}
        try:
            done = subprocess.run(
                [self.command, "inspect", "--labels", "--json", str(target)],
                capture_output=True, text=True, check=False, timeout=_CALL_S, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            found = json.loads(done.stdout)["data"]["attributes"]["labels"]
            return {str(name): str(value) for name, value in found.items()}
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError, AttributeError):
            return {}

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
        """Run the image's probe: nothing of this machine in it but the GPU, no network, nothing writable but /tmp."""
        started = time.monotonic()
        with scratch.folder("probe") as space:
            return probed(probe_words(self.command, built, lock, space, arguments), timeout_s, talk, started)

    def run_command(self, built: Built, lock: Lock, run: Run, talk: Talk) -> int:
        """A person's own command, with the current folder at its own path; its exit code."""
        from envsolve.engine import overheard
        from envsolve.engine.run import here_or_refused, say_waits

        here, cache = here_or_refused(), None
        if run.caches:
            import platformdirs

            cache = platformdirs.user_cache_path("envsolve") / "compiled"
            if not cache.is_dir():
                say_waits(run.repairs, f"kept in {cache}", talk)
                cache.mkdir(parents=True, exist_ok=True)
        with scratch.folder("run") as space:
            words = run_words(self.command, built, lock, run, here, space, cache)
            if run.listener is not None:
                return overheard.run(words, os.environ, run.listener)
            return subprocess.run(words, check=False).returncode


def image_file(folder: Path) -> Path:
    """Where the image of a folder is: ``DIR.sif`` beside it."""
    place = folder.resolve()
    return place.with_name(f"{place.name}.sif")


def _built(target: Path) -> Built:
    return Built("apptainer", str(target), None, size=target.stat().st_size)


def staged_definition(folder: Path, context: Path, lock: Lock, settings: BuildSettings) -> str:
    """Write the definition to be built beside the staged files, with what it is made of as a label; its text.

    The folder's own, which a person may have edited, counts unless another base is to be taken.
    """
    from envsolve.definition import definition
    from envsolve.lock.vendoring import state

    own = folder / APPTAINER
    if own.is_file() and not (settings.base or settings.python_image):
        text = own.read_text("utf-8")
    else:
        text = definition(lock, state(folder, lock), base=settings.base, python_image=settings.python_image)
    if f"vendor/{IMAGE}:" in text:
        (context / VENDOR / IMAGE).symlink_to((folder / VENDOR / IMAGE).resolve())
    path = context / APPTAINER
    path.write_text(text, "utf-8")
    text += f"\n%labels\n    {_MADE_OF} {fingerprint(context)}\n"
    path.write_text(text, "utf-8")
    return text


def refuse_other_platform(lock: Lock, settings: BuildSettings) -> None:
    """Raise NotReadyError (``other-platform``): ``apptainer build`` takes images of this machine's processor only."""
    here, wanted = of_machine(os.uname().machine), settings.platform or of_lock(lock)
    if wanted not in (None, here):
        raise NotReadyError(
            f"apptainer builds for this machine ({here}), and what is locked is for {wanted}",
            hints=(f"envsolve build DIR --backend docker --platform {wanted}",),
            code="other-platform",
        )


def build_words(command: str, target: Path, settings: BuildSettings) -> list[str]:
    """``apptainer build``, in the folder of the definition. The probe is run apart from it, with the GPU."""
    words = [command, "build", "--force", "--notest"]
    words += ["--disable-cache"] if settings.no_cache or settings.pull else []
    words += [] if os.geteuid() == 0 else ["--fakeroot"]
    return [*words, str(target), APPTAINER]


def _exec(command: str, space: Path) -> list[str]:
    """What is kept apart: files, processes, variables. /tmp is the scratch folder, not a small one in memory."""
    return [command, "exec", "--containall", f"--workdir={space}"]


def probe_words(command: str, built: Built, lock: Lock, space: Path, arguments: Sequence[str]) -> list[str]:
    """How the probe is run. HOME is set inside: Apptainer does not let its own be."""
    words = [*_exec(command, space), "--no-privs", "--net", "--network=none", f"--pwd={_SCRATCH}"]
    words += ["--nv"] if lock.stack.device == "gpu" else []
    variables = {"HOME": _SCRATCH, "PYTHONDONTWRITEBYTECODE": "1"} | processor_settings()
    words += [built.subject, "env", *(f"{name}={value}" for name, value in variables.items())]
    return [*words, lock.image.executable, f"{PROBE_DIRECTORY}/smoke.py", *arguments]


def run_words(
    command: str, built: Built, lock: Lock, run: Run, here: str, space: Path, cache: Path | None
) -> list[str]:
    """How a person's command is run. The user is the person's own, whatever is asked for."""
    from envsolve.engine.run import SHELL, cache_variables, environment

    variables = {name: value for name, value in environment(lock, run).items() if name != "HOME"}
    words = [*_exec(command, space), *_bound(here, here), f"--pwd={here}"]
    if cache is not None:
        words += _bound(str(cache), _CACHE)
        variables |= cache_variables(lock, run.repairs, _CACHE)
    words += [] if run.gpus is None else ["--nv"]
    if run.gpus is None and lock.stack.device == "gpu":
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
    elif run.gpus:
        variables |= {"CUDA_VISIBLE_DEVICES": ",".join(run.gpus), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    words += [built.subject, "env", *(f"{name}={value}" for name, value in variables.items())]
    return [*words, *(run.command or SHELL)]


def _bound(source: str, target: str) -> list[str]:
    """A folder of this machine in the container: by --mount, whose fields are CSV, for names with commas or colons."""
    fields = ("type=bind", f"source={source}", f"destination={target}")
    quoted = ('"' + field.replace('"', '""') + '"' if set(field) & set(',"') else field for field in fields)
    return ["--mount", ",".join(quoted)]
