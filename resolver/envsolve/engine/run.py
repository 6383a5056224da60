"""Run a person's own command in what was built: as themselves, where they are, with the GPU that the stack is for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.engine.base import Built, processor_settings
from envsolve.errors import EnvsolveError, UsageError

if TYPE_CHECKING:
    from docker.models.containers import Container

    from envsolve.engine.docker import DockerEngine
    from envsolve.engine.overheard import Listener
    from envsolve.models import Lock
    from envsolve.repairs import Repairs
    from envsolve.talk import Talk

HOME = "/home/envsolve"
"""Of the image: writable for any user."""

CACHE = f"{HOME}/.cache"
"""Where an image of a stack that compiles at its start has a folder for a volume: writable for any user."""

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; fi; exec sh")
_HIDING = ("/", "/bin", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/sbin", "/sys", "/usr", "/usr/local")
_NOT_FOUND, _NOT_RUNNABLE = 127, 126
_NO_INIT = ("docker-init", "catatonit", "container-init", "init binary")


@dataclass(frozen=True)
class Run:
    """What is to run. ``command`` empty: a shell. ``gpus`` None: none of them; empty: all. ``listener``: who keeps
    the end of its output.
    """

    command: tuple[str, ...]
    gpus: tuple[str, ...] | None
    repairs: Repairs
    listener: Listener | None = None

    @property
    def caches(self) -> bool:
        """Whether what is compiled at its start is worth keeping."""
        return bool(self.repairs.caches)


def in_container(engine: DockerEngine, built: Built, lock: Lock, run: Run, talk: Talk) -> int:
    """The command in a container of the image, with the current folder at its own path; its exit code.

    Raises NotReadyError (``no-gpu-runtime``) when the engine cannot give the GPU, UsageError (``bad-folder``) when the
    current folder would hide the image's own.
    """
    from docker.errors import DockerException

    settings = container_settings(engine, lock, run, talk)
    tty = bool(settings["tty"])
    for init in (True, False):
        with engine._lost():
            try:
                container = engine._client().containers.create(built.subject, init=init, **settings)
            except DockerException as error:
                raise _failure(error, engine, built) from error
            try:
                return _follow(container, tty, run.listener)
            except DockerException as error:
                said = str(error)
                if init and any(word in said for word in _NO_INIT):
                    continue  # an engine without one: the command is process 1
                if (code := _not_found(said)) is not None:
                    talk.warn(
                        f"{run.command[0]}: {'not found' if code == _NOT_FOUND else 'cannot be run'} in the image"
                    )
                    return code
                raise _failure(error, engine, built) from error
            finally:
                with suppress(DockerException, OSError):
                    container.remove(force=True, v=True)
    raise AssertionError("the second turn returns or raises")


def _follow(container: Container, tty: bool, listener: Listener | None) -> int:
    from envsolve.engine.attach import follow

    return follow(container, tty=tty, listener=listener)


def _failure(error: Exception, engine: DockerEngine, built: Built) -> EnvsolveError:
    from envsolve.engine.failures import start_failure

    return start_failure(str(error), engine.name, built.tag or built.subject)


def _not_found(said: str) -> int | None:
    """The shell's exit code for a command that the image does not have, or that is none."""
    if "executable file not found" in said or ("no such file or directory" in said and "exec" in said):
        return _NOT_FOUND
    return _NOT_RUNNABLE if "exec" in said and "permission denied" in said else None


def container_settings(engine: DockerEngine, lock: Lock, run: Run, talk: Talk) -> dict[str, Any]:
    """What the engine is asked for. Says what is to be known beforehand."""
    here, command = here_or_refused(), run.command or SHELL
    volumes = {here: {"bind": here, "mode": "rw"}}
    if run.caches:
        volumes[_cache(engine, lock, run, talk)] = {"bind": CACHE, "mode": "rw"}
    return {
        # A vendor's entry point prints a banner and changes the user's words
        "entrypoint": [command[0]],
        "command": list(command[1:]),
        "environment": environment(lock, run),
        "working_dir": here,
        "volumes": volumes,
        "stdin_open": True,
        "tty": sys.stdin.isatty() and sys.stdout.isatty() and not (run.listener and run.listener.aside),
        "shm_size": "2g",
        "device_requests": None if run.gpus is None else engine._gpus(run.gpus),
        "labels": {"dev.envsolve.run": "1"},
        **_user(engine),
    }


def here_or_refused() -> str:
    """The current folder, to be mounted at its own path. Raises UsageError (``bad-folder``) where it would hide."""
    here = str(Path.cwd())
    if here in _HIDING:
        raise UsageError(
            f"the current folder {here} would hide the image's own {here}: go to the folder of your work",
            code="bad-folder",
        )
    return here


def _user(engine: DockerEngine) -> dict[str, Any]:
    """The person's own numbers, so that files are theirs. A rootless engine maps root, or keeps the number."""
    mine = f"{os.getuid()}:{os.getgid()}"
    info = engine._client().info()
    rootless = any("rootless" in str(option) for option in info.get("SecurityOptions") or ())
    if engine.name == "podman":
        extra: dict[str, Any] = {"userns_mode": "keep-id"} if rootless else {}
        return {"user": mine, "security_opt": ["label=disable"], **extra}
    return {"user": "0:0" if rootless else mine}


def environment(lock: Lock, run: Run) -> dict[str, str]:
    """What a command in a container gets: the person's name, terminal and caches."""
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or "envsolve"
    # getpass.getuser() would fail for a number without a name
    found = {"HOME": HOME, "USER": name, "LOGNAME": name, **processor_settings()}
    found |= {key: os.environ[key] for key in ("TERM", "NO_COLOR") if key in os.environ}
    return found | cache_variables(lock, run.repairs, CACHE)


def cache_variables(lock: Lock, repairs: Repairs, folder: str) -> dict[str, str]:
    """What makes drivers and frameworks keep what they compile under this folder."""
    found = {name: value.replace("{cache}", folder) for name, value in sorted(repairs.run_environment.items())}
    for name, value in found.items():
        former = lock.environment.get(name)
        if former:  # a list of KEY=VALUE, as THEANO_FLAGS is: the new ones win
            keys = {flag.partition("=")[0].strip() for flag in value.split(",")}
            kept = [flag for flag in former.split(",") if flag.partition("=")[0].strip() not in keys]
            found[name] = ",".join((*kept, value))
    return found


def _cache(engine: DockerEngine, lock: Lock, run: Run, talk: Talk) -> str:
    """The volume's name. A new one means a wait, which is said."""
    from docker.errors import NotFound

    from envsolve.render import image_name

    # Compiled for this lock, owned by this user
    name = f"envsolve-cache-{image_name(lock).rpartition(':')[2]}-{os.getuid()}"
    try:
        with engine._lost():
            engine._client().api.inspect_volume(name)
    except EnvsolveError as error:
        if not isinstance(error.__cause__, NotFound):
            raise
        say_waits(run.repairs, f"kept in the volume {name}", talk)
    return name


def say_waits(repairs: Repairs, kept: str, talk: Talk) -> None:
    """What a first start costs, before it does."""
    for text in repairs.waits:
        talk.say(f"note: {text} ({kept})")


# -- without a container -------------------------------------------------------------------------------------------


def in_prefix(built: Built, lock: Lock, run: Run, talk: Talk) -> int:
    """The command with the environment's Python first on PATH. It takes this process's place: its exit code, its
    signals and its terminal are its own. Returns only when there is no such command, or with a listener.
    """
    prefix = Path(built.subject)
    variables = prefix_variables(prefix, lock, run, os.environ, talk)
    command = run.command or (os.environ.get("SHELL") or "/bin/sh",)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if run.listener is not None:
            return _overheard(command, variables, run.listener)
        os.execvpe(command[0], command, variables)  # noqa: S606
    except FileNotFoundError:
        talk.warn(f"{command[0]}: not found, in {prefix}/bin and on PATH")
        return _NOT_FOUND
    except PermissionError:
        talk.warn(f"{command[0]}: cannot be run")
        return _NOT_RUNNABLE
    except OSError as error:
        talk.warn(f"{command[0]}: {error.strerror}")
        return _NOT_RUNNABLE


def _overheard(command: Sequence[str], variables: Mapping[str, str], listener: Listener) -> int:
    from envsolve.engine import overheard

    program = shutil.which(command[0], path=variables["PATH"])  # Popen would look on our own PATH
    if program is None and os.sep not in command[0]:
        raise FileNotFoundError(command[0])
    return overheard.run([program or command[0], *command[1:]], variables, listener)


def prefix_variables(prefix: Path, lock: Lock, run: Run, mine: Mapping[str, str], talk: Talk) -> dict[str, str]:
    """The person's own variables, with the environment's over them. What the lock sets comes with its Python."""
    found = {name: value for name, value in mine.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    found["PATH"] = f"{prefix / 'bin'}{os.pathsep}{found.get('PATH') or os.defpath}"
    found["VIRTUAL_ENV"] = str(prefix)
    if run.gpus is None:  # a GPU build chosen for the CPU must not reach for a GPU that the solver did not count on
        found["CUDA_VISIBLE_DEVICES"] = "-1"
    elif run.gpus:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(run.gpus)
        found["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as nvidia-smi counts
    if run.caches and lock.stack.device == "gpu" and run.gpus is not None:
        import platformdirs

        cache = platformdirs.user_cache_path("envsolve") / "compiled"
        if not cache.is_dir():
            say_waits(run.repairs, f"kept in {cache}", talk)
            cache.mkdir(parents=True, exist_ok=True)
        for name, value in cache_variables(lock, run.repairs, str(cache)).items():
            if name not in lock.environment:  # those the environment's own Python sets, for itself
                found.setdefault(name, value)
    return found


def shell_words(words: Sequence[str] | None, name: str = "run") -> tuple[str, ...]:
    """The command as typed. Raises UsageError when there is none."""
    if not words:
        raise UsageError(
            f"{name}: which command?",
            hints=(f"envsolve {name} DIR -- python script.py", "envsolve shell DIR"),
            code="missing-argument",
        )
    return tuple(words)
