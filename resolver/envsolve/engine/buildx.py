"""``docker buildx build``, where the docker command and its plugin are there and reach the engine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from envsolve import scratch
from envsolve.engine.base import BuildSettings
from envsolve.engine.context import BuildLog, pip_configuration
from envsolve.engine.detect import Endpoint
from envsolve.errors import NotReadyError
from envsolve.extras import BUILDKIT

_ASK_S = 10
_STOP_S = 15
_ATTESTS = (0, 10)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.\d+")


@dataclass(frozen=True)
class Buildx:
    """A command that builds with BuildKit."""

    command: str
    environment: Mapping[str, str]
    version: tuple[int, ...] = ()

    @property
    def attests(self) -> bool:
        """Whether it has ``--sbom`` and ``--provenance``. https://github.com/docker/buildx/releases/tag/v0.10.0"""
        return self.version >= _ATTESTS

    @classmethod
    def found(cls, endpoint: Endpoint) -> Buildx | None:
        """The command, when it has the plugin and its builder answers; None: build some other way."""
        command = shutil.which("docker")
        if command is None:
            return None
        # The engine that was found, whatever context the command has now
        environment = {**os.environ, "DOCKER_HOST": endpoint.address}
        environment.pop("DOCKER_CONTEXT", None)
        said = ""
        for words in (("inspect",), ("version",)):
            try:
                done = subprocess.run(
                    [command, "buildx", *words], env=environment, stdin=subprocess.DEVNULL, timeout=_ASK_S,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace", check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                return None
            if done.returncode:
                return None
            said = done.stdout
        found = _VERSION.search(said)
        return cls(command, environment, tuple(map(int, found.groups())) if found else ())

    def build(
        self,
        context: Path,
        tag: str,
        labels: Mapping[str, str],
        arguments: Mapping[str, str],
        settings: BuildSettings,
        log: BuildLog,
    ) -> str | None:
        """Build and load the image. The builder's last words when it failed."""
        command = [self.command, "buildx", "build", "--progress=plain", "--load", "--tag", tag]
        command += ["--no-cache"] if settings.no_cache else []
        command += ["--pull"] if settings.pull else []
        command += [f"--network={settings.network}"] if settings.network else []
        command += [f"--platform={settings.platform}"] if settings.platform else []
        # The least of provenance: more would hold the build arguments, and so the address of an index
        command += ["--sbom=true", "--provenance=mode=min"] if settings.attest else []
        with ExitStack() as stack:
            if (context / BUILDKIT).is_file():
                command += stack.enter_context(_secrets(context, arguments))
                arguments = {name: value for name, value in arguments.items() if not name.startswith("PIP_")}
            return self._run(command, context, labels, arguments, settings, log)

    def _run(
        self,
        command: list[str],
        context: Path,
        labels: Mapping[str, str],
        arguments: Mapping[str, str],
        settings: BuildSettings,
        log: BuildLog,
    ) -> str | None:
        for name, value in sorted(labels.items()):
            command += ["--label", f"{name}={value}"]
        for name in sorted(arguments):  # names only: values may hold passwords, and ``ps`` shows a command line
            command += ["--build-arg", name]
        dated = {} if settings.epoch is None else {"SOURCE_DATE_EPOCH": str(settings.epoch)}
        code = stream([*command, str(context)], {**dated, **self.environment, **arguments}, log)
        if code == 0:
            return None
        errors = [line for line in log.tail if line.startswith("ERROR: ")]
        return errors[-1] if errors else f"docker buildx build ended with status {code}"


@contextmanager
def _secrets(context: Path, arguments: Mapping[str, str]) -> Iterator[list[str]]:
    """The options that take the file with mounts, and hand index settings and certificates over as secrets."""
    words = ["--file", str(context / BUILDKIT)]
    if (context / "ca.crt").is_file():
        words += ["--secret", f"id=ca.crt,src={context / 'ca.crt'}"]
    with scratch.folder("secrets") as folder:
        path = folder / "pip.conf"
        path.touch(mode=0o600)
        path.write_text(pip_configuration(arguments), "utf-8")
        yield [*words, "--secret", f"id=pip.conf,src={path}"]


def refuse_attest(engine: str, settings: BuildSettings) -> None:
    """Raise NotReadyError (``no-attestations``) when they are asked of an engine that never makes any."""
    if settings.attest:
        raise no_attestations(engine)


def no_attestations(engine: str) -> NotReadyError:
    """The error for ``--attest`` where the builder makes none."""
    return NotReadyError(
        f"{engine} makes no SBOM and no provenance here: that takes docker buildx 0.10 or later",
        hints=("sudo apt-get install docker-buildx", "the same command without --attest"),
        code="no-attestations",
    )


def stream(command: Sequence[str], environment: Mapping[str, str], log: BuildLog, folder: Path | None = None) -> int:
    """Run a builder's command (in a folder), its output into the log; its exit code. An interrupt ends it."""
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        try:
            for line in process.stdout or ():
                log.write(line.decode("utf-8", "replace"))
        except BaseException:
            _stop(process)
            raise
    return process.returncode


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the client as Ctrl-C would, so that it cancels the build; by force when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
