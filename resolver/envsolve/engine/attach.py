"""A container in the foreground: its streams are ours, its end is ours, and an interrupt reaches it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker.models.containers import Container

    from envsolve.engine.overheard import Listener

GRACE_S = 10.0
"""How long a container may take to end after an interrupt, before it is killed."""

BROKEN_PIPE = 141
_BLOCK = 65536
_STDOUT, _STDERR = 1, 2


def follow(container: Container, *, tty: bool, listener: Listener | None = None) -> int:
    """Start a created container, pass everything on both ways until it ends; its exit code, or 128 + the signal
    that we were sent and handed on.
    """
    from docker.utils import socket as sockets

    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    frames: Iterator[tuple[int, bytes]] = sockets.frames_iter(stream, tty)  # type: ignore[no-untyped-call]
    container.start()
    with _terminal(container, tty), _signals(container) as sent:
        threading.Thread(target=_feed, args=(getattr(stream, "_sock", stream),), daemon=True).start()
        try:
            for kind, data in frames:
                if listener is not None:
                    listener.hear(_STDERR if kind == _STDERR else _STDOUT, data)
                    continue
                out = sys.stderr.buffer if kind == _STDERR else sys.stdout.buffer
                out.write(data)
                out.flush()
        except BrokenPipeError:  # who reads our output has gone: so does the container
            _killer(container, "SIGKILL")()
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        code = int(container.wait()["StatusCode"])
    return 128 + sent[0] if sent else code


def _feed(connection: Any) -> None:
    """Our input to the container, then its end. The thread dies with the process: a terminal's read has no end."""
    with suppress(OSError, ValueError):
        descriptor = sys.stdin.fileno()
        while data := os.read(descriptor, _BLOCK):
            connection.sendall(data)
    with suppress(OSError, AttributeError):
        connection.shutdown(socket.SHUT_WR)


@contextmanager
def _signals(container: Container) -> Iterator[list[int]]:
    """Hand SIGINT, SIGTERM and SIGHUP on; a second one, or time, kills. Gives those that came."""
    sent: list[int] = []
    timer = threading.Timer(GRACE_S, _killer(container, "SIGKILL"))
    timer.daemon = True

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        sent.append(number)
        if len(sent) == 1:
            timer.start()
        _killer(container, signal.Signals(number).name if len(sent) == 1 else "SIGKILL")()

    former = {kind: signal.signal(kind, handle) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield sent
    finally:
        timer.cancel()
        for kind, handler in former.items():
            signal.signal(kind, handler)


def _killer(container: Container, name: str) -> Callable[[], None]:
    def kill() -> None:
        with suppress(Exception):  # it has just ended
            container.kill(name)

    return kill


@contextmanager
def _terminal(container: Container, tty: bool) -> Iterator[None]:
    """Our terminal, every key of it, is the container's; its size is ours."""
    if not tty:
        yield
        return
    import termios
    import tty as modes

    def fit(*_: object) -> None:
        size = shutil.get_terminal_size()
        with suppress(Exception):  # the container has just ended
            container.resize(size.lines, size.columns)

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    former = signal.signal(signal.SIGWINCH, fit)
    try:
        modes.setraw(descriptor)
        fit()
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, former)
