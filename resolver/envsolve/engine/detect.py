"""Which container engine answers here: one cheap ping over its socket, with the standard library only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["docker", "podman"]
Trouble = Literal["permission", "silent", "unreadable"]

_MAX_ANSWER = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """An engine that answered."""

    kind: Kind
    version: str
    address: str
    """As DOCKER_HOST takes it."""

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"


@dataclass(frozen=True)
class Search:
    """What was found, and what stood in the way at each address that is there but gave nothing."""

    endpoint: Endpoint | None
    troubles: tuple[tuple[str, Trouble], ...] = ()


def container_engine(timeout_s: float = 2.0) -> str | None:
    """The engine that answers, as ``docker 20.10.24``, or None. Takes ``timeout_s`` seconds at most."""
    endpoint = search(timeout_s=timeout_s).endpoint
    return str(endpoint) if endpoint else None


def search(kind: Kind | None = None, timeout_s: float = 2.0) -> Search:
    """The first engine (of a kind, when one is named) that answers: DOCKER_HOST alone where it is set, else the
    docker command's current context, Docker's sockets, podman's sockets.
    """
    deadline = time.monotonic() + timeout_s
    troubles: list[tuple[str, Trouble]] = []
    for address in dict.fromkeys(_addresses()):
        left = deadline - time.monotonic()
        if left <= 0:
            troubles.append((address, "silent"))
            break
        found = ping(address, left)
        if isinstance(found, Endpoint):
            if kind in (None, found.kind):
                return Search(found, tuple(troubles))
        elif found is not None:
            troubles.append((address, found))
    return Search(None, tuple(troubles))


def ping(address: str, timeout_s: float) -> Endpoint | Trouble | None:
    """Ask one address for its version: the engine, what stood in the way, or None where nothing is."""
    try:
        text = _over_ssh(address, timeout_s) if address.startswith("ssh://") else _get(address, timeout_s)
    except PermissionError:
        return "permission"
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except (OSError, ValueError, subprocess.SubprocessError):
        return "silent"
    try:
        version: dict[str, Any] = json.loads(text)
        names = [str(component["Name"]) for component in version.get("Components") or ()]
        kind: Kind = "podman" if any("podman" in name.lower() for name in names) else "docker"
        return Endpoint(kind, str(version["Version"]), address)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "unreadable"


def _addresses() -> Iterator[str]:
    if os.environ.get("DOCKER_HOST"):
        yield os.environ["DOCKER_HOST"]
        return
    if context := _context():
        yield context
    run = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (Path.home() raises where there is none)
    sockets = (
        Path("/var/run/docker.sock"),
        run / "docker.sock",
        home / ".docker/run/docker.sock",
        run / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    )
    yield from (f"unix://{path}" for path in sockets)


def _context() -> str | None:
    """The address of the docker command's current context, unless that is the default one."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))  # noqa: PTH111
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        name = os.environ.get("DOCKER_CONTEXT") or config.get("currentContext") or "default"
        if name == "default":
            return None
        import hashlib

        meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return str(json.loads(meta.read_text("utf-8"))["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _get(address: str, timeout_s: float) -> str:
    """The body of GET /version. HTTP/1.0, so that the answer ends where the connection does."""
    deadline = time.monotonic() + timeout_s
    with _connect(address, timeout_s) as connection:
        connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
        answer = b""
        while len(answer) < _MAX_ANSWER:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
        raise ValueError("not an engine's answer")
    return body.decode("utf-8", "replace")


def _connect(address: str, timeout_s: float) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(parts.path)
        except BaseException:
            connection.close()
            raise
        return connection
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
        raise ValueError(f"no such kind of address: {parts.scheme}")
    secure = bool(os.environ.get("DOCKER_TLS_VERIFY")) or parts.scheme == "https"
    plain = socket.create_connection((parts.hostname, parts.port or (2376 if secure else 2375)), timeout_s)
    return _tls(plain, parts.hostname) if secure else plain


def _tls(plain: socket.socket, host: str) -> socket.socket:
    import ssl

    folder = Path(os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker"))  # noqa: PTH111
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _over_ssh(address: str, timeout_s: float) -> str:
    """The docker command speaks ssh; without it this address cannot be used anyway."""
    command = ["docker", "--host", address, "version", "--format", "{{json .Server}}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout
