"""``docker buildx build``, where the docker command and its plugin are there and reach the engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envsolve.engine.base import BuildSettings
from envsolve.engine.context import BuildLog
from envsolve.engine.detect import Endpoint

_ASK_S = 10
_STOP_S = 15


@dataclass(frozen=True)
class Buildx:
    """A command that builds with BuildKit."""

    command: str
    environment: Mapping[str, str]

    @classmethod
    def found(cls, endpoint: Endpoint) -> Buildx | None:
        """The command, when it has the plugin and its builder answers; None: build some other way."""
        command = shutil.which("docker")
        if command is None:
            return None
        # The engine that was found, whatever context the command has now
        environment = {**os.environ, "DOCKER_HOST": endpoint.address}
        environment.pop("DOCKER_CONTEXT", None)
        for words in (("version",), ("inspect",)):
            try:
                done = subprocess.run(
                    [command, "buildx", *words], env=environment, stdin=subprocess.DEVNULL, timeout=_ASK_S,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                return None
            if done.returncode:
                return None
        return cls(command, environment)

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
        for name, value in sorted(labels.items()):
            command += ["--label", f"{name}={value}"]
        for name in sorted(arguments):  # names only: values may hold passwords, and ``ps`` shows a command line
            command += ["--build-arg", name]
        code = stream([*command, str(context)], {**self.environment, **arguments}, log)
        if code == 0:
            return None
        errors = [line for line in log.tail if line.startswith("ERROR: ")]
        return errors[-1] if errors else f"docker buildx build ended with status {code}"


def stream(command: Sequence[str], environment: Mapping[str, str], log: BuildLog) -> int:
    """Run a builder's command, its output into the log; its exit code. An interrupt ends it."""
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
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
