"""A command whose output is passed on as it comes while its end is kept: what its error is read from."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

TAIL = 256 << 10
"""Bytes kept of the end of each stream."""

_BLOCK = 65536
_OUT, _ERR = 1, 2
_LINGER_S = 0.2
"""How long a stream that something else holds open is still read after the command's own end."""


@dataclass
class Listener:
    """Passes a command's output on and keeps its end. ``aside``: its stdout goes to stderr too."""

    aside: bool = False
    kept: dict[int, bytearray] = field(default_factory=lambda: {_OUT: bytearray(), _ERR: bytearray()})

    def hear(self, kind: int, data: bytes) -> None:
        """One piece of output. Raises BrokenPipeError when nobody reads it any more."""
        stream = sys.stderr if kind == _ERR or self.aside else sys.stdout
        stream.buffer.write(data)
        stream.buffer.flush()
        tail = self.kept[kind]
        tail += data
        if len(tail) > 2 * TAIL:
            del tail[:-TAIL]

    def descriptor(self, kind: int) -> int:
        """Where a stream ends up: what decides whether the command sees a terminal."""
        return _ERR if self.aside else kind

    def text(self, kind: int) -> str:
        """The end of a stream."""
        return bytes(self.kept[kind][-TAIL:]).decode("utf-8", "replace")

    @property
    def said(self) -> str:
        """The ends of both, stderr last: a traceback stands there."""
        return f"{self.text(_OUT)}\n{self.text(_ERR)}"


def run(command: Sequence[str], variables: Mapping[str, str], listener: Listener) -> int:
    """Run a command -> its exit code, or 128 + the signal that ended it. Its input is ours.

    A stream of ours that is a terminal is one for the command too. Raises OSError when it cannot be started.
    """
    ends = {kind: _pair(listener.descriptor(kind)) for kind in (_OUT, _ERR)}
    try:
        process = subprocess.Popen(command, env=dict(variables), stdout=ends[_OUT][1], stderr=ends[_ERR][1])
    except BaseException:
        for pair in ends.values():
            _close(*pair)
        raise
    for _, inner in ends.values():
        os.close(inner)
    readers = {outer: kind for kind, (outer, _) in ends.items()}
    try:
        with _signals(process):
            _pass_on(process, readers, listener)
            code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        _close(*readers)
    return code if code >= 0 else 128 - code


def _pair(like: int) -> tuple[int, int]:
    """(ours, the command's) ends of a pipe, or of a terminal of the same size where ``like`` is one."""
    if not os.isatty(like):
        return os.pipe()
    import fcntl
    import termios
    import tty

    outer, inner = os.openpty()
    tty.setraw(inner)  # the person's terminal ends the lines
    with suppress(OSError):
        fcntl.ioctl(inner, termios.TIOCSWINSZ, fcntl.ioctl(like, termios.TIOCGWINSZ, b"\0" * 8))
    return outer, inner


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def _pass_on(process: subprocess.Popen[bytes], readers: Mapping[int, int], listener: Listener) -> None:
    """Until both streams end, or the command has and nothing more comes."""
    with selectors.DefaultSelector() as selector:
        for descriptor in readers:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(_LINGER_S)
            if not ready and process.poll() is not None:
                return
            for key, _ in ready:
                data = _read(key.fd)
                if data:
                    listener.hear(readers[key.fd], data)
                else:
                    selector.unregister(key.fd)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _BLOCK)
    except OSError as error:
        if error.errno == errno.EIO:  # a terminal whose other end is closed
            return b""
        raise


@contextmanager
def _signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """What is sent to us is the command's. A terminal has sent Ctrl-C to it already."""

    def hand_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if number != signal.SIGINT or not os.isatty(0):
            with suppress(OSError):
                process.send_signal(number)

    former = {kind: signal.signal(kind, hand_on) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for kind, handler in former.items():
            signal.signal(kind, handler)
