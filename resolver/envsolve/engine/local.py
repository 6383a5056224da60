"""The engine without a daemon: the locked environment in a folder, with a Python found on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from envsolve import scratch
from envsolve.engine import hostneeds, pip, virtual
from envsolve.engine import prefix as prefixes
from envsolve.engine.base import PROBE_TIMEOUT_S, BuildSettings, Built, ProbeRun, processor_settings
from envsolve.errors import BuildError, NotReadyError
from envsolve.lock import vendoring
from envsolve.quoting import word

if TYPE_CHECKING:
    from envsolve.models import Interpreter, Lock, LockedPackage
    from envsolve.talk import Talk

_STARTER = "envsolve_environment"
"""A .pth file of this name sets the lock's variables whenever the environment's Python starts."""

_STDERR_TAIL = 20000
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_PASSED_FOR_GPU = ("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE", "LD_LIBRARY_PATH")


class LocalEngine:
    """Makes a prefix: needs no daemon and no root, but a Python of the lock's version and ABI."""

    @property
    def name(self) -> str:
        """Always ``local``."""
        return "local"

    def build(self, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Built:
        """Make the environment at ``settings.prefix``, or in envsolve's own data folder.

        Raises NotReadyError (no such Python, a program or glibc missing, no network), BuildError (a hash that
        does not match, an sdist that does not build), UsageError (the folder holds something else).
        """
        started = time.monotonic()
        prefix, digest = _prefix(lock, settings), _digest(lock)
        found = prefixes.inspect(prefix)
        if found.state == "complete" and found.lock == digest and not settings.no_cache and _runs(prefix):
            talk.say(f"environment: {prefix} is there already, complete, of this very lock")
            return Built(engine=self.name, subject=str(prefix))
        if found.state == "foreign" or (found.state == "complete" and found.lock != digest and not settings.force):
            raise prefixes.refuse(prefix, found)
        interpreter = _interpreter(lock)
        variables = _check_host(lock, talk)
        log = _log_file(lock)
        with (
            talk.step(f"environment at {prefix}"),
            log.open("w", encoding="utf-8") as stream,
            prefixes.making(prefix, digest),
        ):
            try:
                maker = _install(lock, interpreter, prefix, folder, talk, stream)
                _set_variables(prefix, variables)
            except BuildError as error:
                error.hints = (*error.hints, f"less {word(log)}   # all that was said")
                raise
            except KeyboardInterrupt:
                talk.say(f"the build was given up; its log so far: {log}")
                raise
        talk.say(f"python: {prefix}/bin/python ({interpreter.version} of {interpreter.path}, made by {maker})")
        return Built(engine=self.name, subject=str(prefix), log=log, seconds=time.monotonic() - started)

    def find(self, folder: Path, lock: Lock, settings: BuildSettings) -> Built | None:  # noqa: ARG002
        """The complete environment of exactly this lock, where ``build`` would make it."""
        prefix = _prefix(lock, settings)
        found = prefixes.inspect(prefix)
        if found.state != "complete" or found.lock != _digest(lock) or not _runs(prefix):
            return None
        return Built(engine=self.name, subject=str(prefix))

    def run_probe(
        self,
        built: Built,
        lock: Lock,
        folder: Path,
        talk: Talk,  # noqa: ARG002
        *,
        arguments: Sequence[str] = (),
        timeout_s: float = PROBE_TIMEOUT_S,
    ) -> ProbeRun:
        """Run the folder's ``smoke.py`` with the environment's Python.

        Raises NotReadyError when the Python is gone.
        """
        python = Path(built.subject) / "bin" / "python"
        command = [str(python), str((folder / "smoke.py").absolute()), *arguments]
        started = time.monotonic()
        with (
            scratch.folder("smoke") as temporary,  # also what a probe that crashes leaves is gone afterwards
            tempfile.TemporaryFile("w+", errors="replace") as out,
            tempfile.TemporaryFile("w+", errors="replace") as err,
        ):
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True, cwd="/",
                    env=_probe_variables(lock) | {"TMPDIR": str(temporary)}, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise NotReadyError(f"{python} does not start: {error.strerror}", code="no-interpreter") from error
            timed_out = False
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                timed_out, code = True, -signal.SIGKILL
            finally:
                if process.poll() is None:
                    pip.end(process)
            return ProbeRun(code, _tail(out), _tail(err), time.monotonic() - started, timed_out)


# -- where ---------------------------------------------------------------------------------------------------


def _digest(lock: Lock) -> str:
    """What makes two environments the same: the Python, every file, the variables; not who asked, or where."""
    rows = sorted([p.name, p.version, p.sha256] for p in lock.packages)
    text = json.dumps([lock.stack.python, rows, sorted(lock.environment.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def _slug(lock: Lock) -> str:
    from envsolve.render import image_name

    return f"{image_name(lock).rpartition('/')[2].partition(':')[0]}-{_digest(lock)[:12]}"


def _prefix(lock: Lock, settings: BuildSettings) -> Path:
    if settings.prefix is not None:
        return settings.prefix.expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("envsolve") / "environments" / _slug(lock)


def _log_file(lock: Lock) -> Path:
    import platformdirs

    folder = platformdirs.user_log_path("envsolve")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{_slug(lock)}-local.log"


def _runs(prefix: Path) -> bool:
    """Whether the environment's Python still starts (the one it was made of may be gone)."""
    try:
        run = subprocess.run(
            [prefix / "bin" / "python", "-c", ""], capture_output=True, timeout=20, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


# -- what this machine has -----------------------------------------------------------------------------------


def _interpreter(lock: Lock) -> Interpreter:
    """The Python to make the environment of. Raises NotReadyError when none fits."""
    from envsolve.interpreters import find_interpreters
    from envsolve.matrices import load

    python = lock.stack.python
    release = load().pythons.get(python)
    here = find_interpreters()
    chosen = hostneeds.choose(here, python, release.abi if release else None, lock.python_full)
    if chosen is None:
        abi = f" ({release.abi})" if release else ""
        raise NotReadyError(
            f"no Python {python}{abi} was found on this machine",
            facts=tuple(f"found: Python {i.version} ({i.abi}) at {i.path}" for i in here),
            hints=(f"pyenv install {lock.python_full}", "envsolve build DIR --backend docker"),
            code="no-interpreter",
        )
    return chosen


def _check_host(lock: Lock, talk: Talk) -> dict[str, str]:
    """Check what the lock needs of the machine; the lock's variables as they fit it. Raises NotReadyError."""
    unfit = hostneeds.unfit_wheels(lock, hostneeds.platforms())
    if unfit:
        raise NotReadyError(
            f"{unfit[0]} does not run on this machine: its glibc is too old, or it is of another kind",
            facts=(f"this machine: {os.uname().machine}, {os.confstr('CS_GNU_LIBC_VERSION') or 'no glibc'}",),
            hints=("envsolve build DIR --backend docker",), code="host-too-old",
        )  # fmt: skip
    if lock.image.preinstalled:
        raise NotReadyError(
            f"{', '.join(lock.image.preinstalled)} exists only inside the image {lock.image.reference}",
            hints=("envsolve build DIR --backend docker",), code="image-only",
        )  # fmt: skip
    if lock.stack.device == "gpu" and lock.stack.cuda and lock.stack.cuda_source != "wheel":
        cudnn = f" and cuDNN {lock.stack.cudnn}" if lock.stack.cudnn else ""
        talk.warn(f"CUDA {lock.stack.cuda}{cudnn} must be on this machine already: only a container brings them along")
    needs = hostneeds.missing(lock.system_packages)
    if needs.programs:
        raise NotReadyError(
            f"the environment needs {', '.join(needs.programs)} on this machine",
            hints=(needs.hint, "envsolve build DIR --backend docker"), code="missing-system-package",
        )  # fmt: skip
    if needs.libraries:
        talk.warn(f"not found on this machine: {', '.join(needs.libraries)}; {needs.hint}")
    if any(package.phase == "sdist" for package in lock.packages):
        lost = hostneeds.missing(lock.build_packages)
        if lost.programs or lost.libraries:
            talk.warn(f"building from source may need {', '.join((*lost.programs, *lost.libraries))}; {lost.hint}")
    variables, said = hostneeds.fitted(lock.environment, hostneeds.loader_cache())
    for text in said:
        talk.warn(text)
    return variables


# -- making it -----------------------------------------------------------------------------------------------


def _install(lock: Lock, interpreter: Interpreter, prefix: Path, folder: Path, talk: Talk, stream: TextIO) -> str:
    """The virtual environment, then the lock's phases, each one run of pip; gives the name of what made it."""
    from envsolve.lock.document import requirement_lines
    from envsolve.lock.pipconfig import authorized, user_config
    from envsolve.matrices import load

    def log(line: str) -> None:
        stream.write(line + "\n")
        talk.log(line)

    with scratch.folder("build") as home:
        config = user_config()
        variables = pip.environment(config, home)
        vendored = vendoring.state(folder, lock) is not None
        if vendored:
            variables |= pip.vendored(folder)
        maker = virtual.make(interpreter, prefix, load().tools[virtual.TOOL], variables, log)
        for title, options, index, packages in pip_runs(lock):
            file = home / f"{title}.txt"
            # With credentials, in a file that goes when we do
            address = authorized(config, index) if index and not vendored else None
            file.write_text(requirement_lines(packages, address), encoding="utf-8")
            command = [str(prefix / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--no-deps"]
            pip.run([*command, *options, "-r", str(file)], {**variables, **_cache(title)}, log, cwd=home)
    return maker


def pip_runs(lock: Lock) -> list[tuple[str, tuple[str, ...], str | None, tuple[LockedPackage, ...]]]:
    """(title, options, index, packages): each index by itself, and asked for nothing but what is of it."""
    from envsolve.lock.document import by_index

    return [
        (title, options, index, some)
        for title, options, packages in _phases(lock)
        for index, some in by_index(packages)
    ]


def _phases(lock: Lock) -> list[tuple[str, tuple[str, ...], tuple[LockedPackage, ...]]]:
    """(title, options, packages): pip by itself first, since the old one may not read what comes next."""
    from envsolve.lock.document import install_order

    runs: list[tuple[str, tuple[str, ...], tuple[LockedPackage, ...]]] = []
    for phase, packages in install_order(lock):
        if phase == "build":
            itself = tuple(p for p in packages if p.name == "pip")
            rest = tuple(p for p in packages if p.name != "pip")
            runs += [(title, ("--no-cache-dir",), some) for title, some in (("pip", itself), ("build", rest)) if some]
        elif phase == "wheel":
            # Most modules of a framework are never imported: Python compiles the others as it meets them.
            runs.append((phase, ("--no-compile",), packages))
        else:
            # A wheel built earlier from the same sdist may have been built against another NumPy.
            runs.append((phase, ("--no-cache-dir", "--no-build-isolation"), packages))
    return runs


def _cache(title: str) -> dict[str, str]:
    """Wheels are large, and a second environment often needs the same ones."""
    import platformdirs

    return {"PIP_CACHE_DIR": str(platformdirs.user_cache_path("envsolve") / "pip")} if title == "wheel" else {}


def _set_variables(prefix: Path, variables: Mapping[str, str]) -> None:
    """Let the environment's Python set the lock's variables itself, where the person has not set them.

    What the dynamic loader reads (LD_*) comes too late this way; no lock has needed it.
    """
    fitted = dict(variables)
    if "THEANO_FLAGS" in fitted:  # Theano's cache of compiled code is per user, and wrong for another environment
        flags = [flag for flag in fitted["THEANO_FLAGS"].split(",") if not flag.strip().startswith("base_compiledir")]
        fitted["THEANO_FLAGS"] = ",".join([*flags, f"base_compiledir={prefix / 'theano'}"])
    if not fitted:
        return
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    run = subprocess.run([prefix / "bin" / "python", "-c", ask], capture_output=True, text=True, check=False, cwd="/")
    if run.returncode != 0:
        raise BuildError(f"{prefix}/bin/python does not start", facts=tuple(run.stderr.splitlines()[-3:]))
    site = Path(run.stdout.strip())
    text = json.dumps(dict(sorted(fitted.items())))
    code = f"import os\nfor _name, _value in {text}.items():\n    os.environ.setdefault(str(_name), str(_value))\n"
    (site / f"{_STARTER}.py").write_text(f'"""Variables of the lock, set by envsolve."""\n\n{code}', encoding="utf-8")
    (site / f"{_STARTER}.pth").write_text(f"import {_STARTER}\n", encoding="utf-8")


# -- running it ----------------------------------------------------------------------------------------------


def _probe_variables(lock: Lock) -> dict[str, str]:
    """Little of the person's environment; the lock's own variables come with the environment's Python."""
    gpu = lock.stack.device == "gpu"
    passed = _PASSED + (_PASSED_FOR_GPU if gpu else ())
    found = {k: v for k, v in os.environ.items() if k in passed} | processor_settings()
    found.setdefault("LANG", "C.UTF-8")
    found["PATH"] = found.get("PATH") or os.defpath
    if not gpu:  # a GPU build chosen for the CPU must not reach for a GPU that the solver did not count on
        found["CUDA_VISIBLE_DEVICES"] = "-1"
    return found


def _tail(stream: TextIO) -> str:
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - _STDERR_TAIL))
    return stream.read()
