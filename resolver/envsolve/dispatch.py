"""Which command a command line means, and how whatever happens in it ends: one exit code, one error shape."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from envsolve.errors import EnvsolveError, Exit, NotReadyError, UsageError
from envsolve.present import ReaderGoneError, emit, emit_json, error_document, show_error

Commands = Mapping[str, Callable[..., None]]

VALUE_OPTIONS = frozenset(
    {
        *("--gpu", "--driver", "--python", "--os", "--accept", "--as-of", "--backend", "--prefix", "--output", "-o"),
        *(
            "--base",
            "--registry-mirror",
            "--platform",
            "--facts",
            "--error",
            "--upgrade",
            "--smoke",
            "--record-to",
            "--package",
        ),
        "--index",
    }
)
"""Options that take the next word; needed to find the command among options."""

INTERRUPTED = 130
BROKEN_PIPE = 141
_ENDING = {128 + number: number for number in (signal.SIGTERM, signal.SIGHUP)}
"""Signals that end us as Ctrl-C does, so that nothing half-made stays; by exit code."""

LEAVE_AT_ONCE = (INTERRUPTED, *_ENDING, Exit.NOT_READY)
"""Exit codes after which nothing that still runs is worth waiting for."""

_OF_A_FOLDER = ("build", "smoke", "run", "try", "shell", "lock", "vendor", "render")
"""Commands whose argument is a folder: they have no ``-o``."""

_AGAIN = "the same command with --force"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def run(arguments: list[str], commands: Commands, version: str) -> int:
    """Run one command line -> its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode must not end in a defect
    try:
        with _ended_by() as ended:
            code = _guarded(arguments, commands, version)
        code = ended[0] if ended and code == INTERRUPTED else code
        sys.stdout.flush()
    except (ReaderGoneError, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to flush at exit
        return BROKEN_PIPE
    except OSError as error:
        return _fail(_from_os(error), as_json=False)
    return code


@contextmanager
def _ended_by() -> Iterator[list[int]]:
    """Have SIGTERM and SIGHUP (a terminal that was closed) end us as Ctrl-C does. Gives the exit code for it."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        came.append(128 + number)
        raise KeyboardInterrupt

    ours = [number for number in _ENDING.values() if signal.getsignal(number) == signal.SIG_DFL]  # nohup stays nohup
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, stop)
    try:
        yield came
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _guarded(arguments: list[str], commands: Commands, version: str) -> int:
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments  # the rest is another's command line
    as_json = "--json" in own
    try:
        if "--version" in own:
            emit(f"envsolve {version}")
            return Exit.DONE
        name, rest = split(arguments, commands)
        code = _invoke(name, rest, commands)
        if code == INTERRUPTED:  # typer makes an exit code of Ctrl-C
            raise KeyboardInterrupt
        return code
    except EnvsolveError as error:
        return _fail(_with_command_hints(error, arguments, commands), as_json)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        raise
    except OSError as error:
        return _fail(_from_os(error), as_json)
    except Exception as error:
        if os.environ.get("ENVSOLVE_DEBUG"):
            raise
        return _fail(_defect(error, arguments, version), as_json)


def split(arguments: list[str], commands: Commands) -> tuple[str, list[str]]:
    """The command's name and its arguments; ``solve`` when no command is named.

    Options may stand before the command's name. Raises UsageError for half a command ("matrix" alone).
    """
    position, skip = None, False
    for at, word in enumerate(arguments):
        if skip:
            skip = False
        elif word in VALUE_OPTIONS:
            skip = True
        elif word == "--" or not word.startswith("-"):
            position = at
            break
    if position is None:
        return "solve", arguments
    first, before, after = arguments[position], arguments[:position], arguments[position + 1 :]
    if first in commands:
        return first, before + after
    groups = [name for name in commands if name.startswith(f"{first} ")]
    if not groups:
        return "solve", arguments
    if after and f"{first} {after[0]}" in commands:
        return f"{first} {after[0]}", before + after[1:]
    if "--help" in arguments:
        emit("\n".join(f"envsolve {name}   {_summary(commands[name])}" for name in groups))
        raise typer.Exit(Exit.DONE)
    raise UsageError(
        f"{first}: which of its commands?" if not after else f"{first} {after[0]}: there is no such command",
        hints=tuple(f"envsolve {name}" for name in groups),
        code="unknown-command",
    )


def _summary(function: Callable[..., None]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


def _invoke(name: str, arguments: list[str], commands: Commands) -> int:
    """Parse and call one command. Only that one is built: a cold process should start fast."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    epilog = None
    if name == "solve" and "--help" in arguments:
        rows = [f"  {other:<14}{_summary(function)}" for other, function in commands.items() if other != "scan"]
        epilog = "\b\nCommands (envsolve COMMAND --help):\n" + "\n".join(rows)
    app.command(epilog=epilog)(commands[name])
    program = "envsolve" if name == "solve" else f"envsolve {name}"
    try:
        code = typer.main.get_command(app).main(arguments, prog_name=program, standalone_mode=False)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.DONE
    except _CLICK_ERROR as error:
        raise _from_click(error, program) from None
    return int(code) if isinstance(code, int) else Exit.DONE


def _from_click(error: Any, program: str) -> UsageError:
    kind = type(error).__name__
    code = {"NoSuchOption": "unknown-option", "MissingParameter": "missing-argument"}.get(kind, "bad-option")
    return UsageError(str(error.format_message()), hints=(f"{program} --help",), code=code)


def _from_os(error: OSError) -> EnvsolveError:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return NotReadyError(f"{where}the disk is full", hints=("df -h",), code="disk-full")
    return NotReadyError(f"{where}{error.strerror or error}", code="system")


def _with_command_hints(error: EnvsolveError, arguments: list[str], commands: Commands) -> EnvsolveError:
    """Hints that are options become whole commands; a word that looks like a command was perhaps meant as one."""
    takes_folder = not arguments or arguments[0] not in _OF_A_FOLDER
    hints = (hint for hint in error.hints if takes_folder or not hint.startswith("-o "))
    error.hints = tuple(_whole(hint, error.message, arguments) for hint in hints)
    if error.code == "no-framework":
        words = [word for word in arguments if not word.startswith("-")]
        names = {name.partition(" ")[0] for name in commands}
        near = get_close_matches(words[0], sorted(names), n=1) if words else []
        error.hints = (*(f"envsolve {name} --help" for name in near), *error.hints)
    return error


def _whole(hint: str, message: str, arguments: list[str]) -> str:
    """'--python X.Y' -> the command line as typed, with that option in place of the one that was refused."""
    if hint.startswith(_AGAIN):
        return f"{shlex.join(['envsolve', *arguments, '--force'])}{hint.removeprefix(_AGAIN)}"
    if not hint.startswith("-"):
        return hint
    option, _, value = hint.partition(" ")
    new = [option, *shlex.split(value)]
    for at, word in enumerate(arguments):
        if word == option and at + 1 < len(arguments) and arguments[at + 1] in message:
            return shlex.join(["envsolve", *arguments[:at], *new, *arguments[at + 2 :]])
        if word.startswith(f"{option}=") and word.partition("=")[2] in message:
            return shlex.join(["envsolve", *arguments[:at], *new, *arguments[at + 1 :]])
    return shlex.join(["envsolve", *arguments, *new])


def _fail(error: EnvsolveError, as_json: bool) -> int:
    show_error(error)
    if as_json:
        emit_json(error_document(error))
    return int(error.exit_code)


def _defect(error: Exception, arguments: list[str], version: str) -> EnvsolveError:
    """An error nobody foresaw: what to report, without a raw traceback."""
    frame = error.__traceback__
    places = []
    while frame is not None:
        places.append(f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}")
        frame = frame.tb_next
    command = shlex.join(["envsolve", *arguments])
    return EnvsolveError(
        f"a defect in envsolve: {type(error).__name__}: {error}",
        facts=(
            f"at {' > '.join(places[-4:])}",
            f"envsolve {version}, Python {sys.version.split()[0]}, {sys.platform}",
            f"command: {command}",
            "please report these lines",
        ),
        hints=(f"ENVSOLVE_DEBUG=1 {command}   # shows the traceback, worth adding to the report",),
        code="defect",
    )
