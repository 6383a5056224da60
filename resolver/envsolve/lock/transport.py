"""HTTP for the index client: retries with backoff, the user's certificates and proxies, errors in plain words."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock as Mutex
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import Retry

from envsolve.errors import NotReadyError
from envsolve.lock.pipconfig import IndexConfig, credentials, redact

PARALLEL = 16
_STATUS_AGAIN = (408, 429, 500, 502, 503, 504)
_BODY_TRIES = 3
_LONGEST_WAIT_S = 60.0
_PIECE = 1 << 16
LARGEST = 512_000_000
"""Bytes of the largest answer that is read into memory, unless something else is said."""
LARGEST_PAGE = 128_000_000
# An answer that breaks off in the middle is no failure to connect, so the adapter does not try it again.
_BROKEN_BODY = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
_CUT = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)


@dataclass
class Counts:
    """What the client did so far, for progress lines."""

    requests: int = 0
    bytes: int = 0
    cached: int = 0
    _mutex: Mutex = field(default_factory=Mutex, repr=False)

    def add(self, *, requests: int = 0, size: int = 0, cached: int = 0) -> None:
        """Count; safe from several threads."""
        with self._mutex:
            self.requests += requests
            self.bytes += size
            self.cached += cached


@dataclass(frozen=True)
class Answer:
    """A response, read whole. ``status``: 200, 206, 304, 404 or 406."""

    status: int
    content: bytes
    content_type: str
    etag: str | None


class Transport:
    """GET with the settings of an IndexConfig. Safe for several threads."""

    def __init__(self, config: IndexConfig) -> None:
        self._config = config
        self.counts = Counts()
        self._auth: dict[str, tuple[str, str]] = {}
        for url in (config.index_url, *config.extra_index_urls):
            bare, auth = credentials(url)
            if auth is not None:
                self._auth[urlsplit(bare).netloc] = auth
        self._session = self._make_session()

    def _make_session(self) -> requests.Session:
        session = requests.Session()
        retry = _Patient(
            total=self._config.retries,
            connect=min(self._config.retries, 2),
            backoff_factor=0.3,
            status_forcelist=_STATUS_AGAIN,
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        adapter = HTTPAdapter(max_retries=retry, pool_connections=PARALLEL, pool_maxsize=PARALLEL)
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        session.headers["User-Agent"] = "envsolve"
        if self._config.trusted_hosts:  # not to verify those is the user's own choice: say nothing
            urllib3.disable_warnings(InsecureRequestWarning)
        if self._config.client_cert is not None:
            session.cert = str(self._config.client_cert)
        return session

    def _verify(self, url: str) -> bool | str:
        parts = urlsplit(url)
        if parts.hostname in self._config.trusted_hosts or parts.netloc in self._config.trusted_hosts:
            return False
        return str(self._config.ca_bundle) if self._config.ca_bundle is not None else True

    def _proxies(self, url: str) -> dict[str, str] | None:
        if requests.utils.should_bypass_proxies(url, no_proxy=self._config.no_proxy):
            return None
        return dict(self._config.proxies) or None

    def get(self, url: str, headers: dict[str, str] | None = None, largest: int = LARGEST) -> Answer:
        """The answer for an address; ``largest``: bytes that it may have.

        Raises NotReadyError ("no-network", "index-refused", "index-error") when there is none.
        """
        for attempt in range(_BODY_TRIES - 1):
            with contextlib.suppress(*_BROKEN_BODY):
                return self._try(url, headers or {}, largest)
            time.sleep(0.3 * 2**attempt)
        return self._try(url, headers or {}, largest, last=True)

    def stream(self, url: str, start: int, what: str) -> Iterator[tuple[int | None, bytes]]:
        """Pieces of a file from an offset on, each with its offset; a server without ranges begins at 0.

        No offset: the file is shorter than that. Raises ConnectionAbortedError when the connection breaks on the
        way, NotReadyError as ``get`` does.
        """
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        try:
            with self._session.get(url, headers=headers, stream=True, **self._options(url)) as response:
                self.counts.add(requests=1)
                if response.status_code in (404, 410):
                    raise NotReadyError(f"the index lists {what} and does not have it", code="index-error")
                self._refuse(url, response, (200, 206, 416))
                if response.status_code == 416:
                    yield None, b""
                    return
                at = _offset(response, start)
                for chunk in response.iter_content(_PIECE):
                    self.counts.add(size=len(chunk))
                    yield at, chunk
                    at += len(chunk)
        except _BROKEN_BODY as error:
            raise ConnectionAbortedError(f"the connection to {_host(url)} was cut") from error
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            if isinstance(error.args[0] if error.args else None, _CUT):  # on the way, not at the start
                raise ConnectionAbortedError(f"{_host(url)} stops answering") from error
            raise _unreachable(url, error) from error
        except requests.exceptions.RequestException as error:
            raise _unreachable(url, error) from error

    def _try(self, url: str, headers: dict[str, str], largest: int, *, last: bool = False) -> Answer:
        """One try; a body that breaks off is raised as it is unless it is the last one."""
        try:
            return self._once(url, headers, largest)
        except requests.exceptions.RequestException as error:
            if isinstance(error, _BROKEN_BODY) and not last:
                raise
            raise _unreachable(url, error) from error
        except OSError as error:  # an unreadable certificate bundle or client certificate
            raise NotReadyError(f"cannot read from {_host(url)}: {error}", code="index-error") from error

    def _once(self, url: str, headers: dict[str, str], largest: int) -> Answer:
        with self._session.get(url, headers=headers, stream=True, **self._options(url)) as response:
            content = _bounded(response, url, largest)
        self.counts.add(requests=1, size=len(content))
        self._refuse(url, response, (200, 206, 304, 404, 406, 410))
        return Answer(
            status=404 if response.status_code == 410 else response.status_code,
            content=content,
            content_type=response.headers.get("Content-Type", ""),
            etag=response.headers.get("ETag"),
        )

    def _options(self, url: str) -> dict[str, Any]:
        options: dict[str, Any] = {
            "verify": self._verify(url), "proxies": self._proxies(url), "timeout": self._config.timeout
        }  # fmt: skip
        auth = self._auth.get(urlsplit(url).netloc)
        if auth is not None:
            options["auth"] = auth
        return options

    def _refuse(self, url: str, response: requests.Response, known: tuple[int, ...]) -> None:
        if response.status_code in (401, 403, 407):
            raise NotReadyError(
                f"{_host(url)} refuses the request (HTTP {response.status_code})",
                hints=("pip config list   # the credentials of index-url and proxy",),
                code="index-refused",
            )
        if response.status_code not in known:
            wait = response.headers.get("Retry-After", "")
            asks = f" and asks to wait {wait} s" if wait.isdecimal() else ""
            raise NotReadyError(f"{_host(url)} answers HTTP {response.status_code}{asks}", code="index-error")


class _Patient(Retry):
    """Waits as long as a server asks, within reason: what asks for an hour is told to the person at once."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds that the server asks to wait, no more than a minute."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT_S)


def _bounded(response: requests.Response, url: str, largest: int) -> bytes:
    """The body, unpacked; NotReadyError ("index-error") when it is bigger than any page or metadata is."""
    pieces, size = [], 0
    for piece in response.iter_content(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > largest:
            raise NotReadyError(
                f"{_host(url)} answers with more than {largest // 1_000_000} MB where less is expected",
                code="index-error",
            )
    return b"".join(pieces)


def _offset(response: requests.Response, start: int) -> int:
    """Where the body of an answer begins in the file."""
    if response.status_code != 206:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else start


def _host(url: str) -> str:
    return urlsplit(redact(url)).netloc or redact(url)


def _timed_out(error: Exception) -> bool:
    """Whether the last try got no answer in time: after its tries, requests calls that a failed connection."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.ReadTimeoutError)


def _unreachable(url: str, error: Exception) -> NotReadyError:
    """The error in plain words; the library's text may hold an address with credentials, so it is not shown."""
    hints = (
        "pip config list   # index, proxy and certificate settings",
        "envsolve ... --offline   # with what is cached",
    )
    if isinstance(error, requests.exceptions.SSLError):
        return NotReadyError(
            f"the certificate of {_host(url)} is not trusted here",
            hints=("pip config set global.cert /path/to/ca-bundle.crt",),
            code="bad-certificate",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return NotReadyError(f"the proxy does not lead to {_host(url)}", hints=hints, code="no-network")
    if isinstance(error, requests.exceptions.Timeout) or _timed_out(error):
        return NotReadyError(f"{_host(url)} does not answer in time", hints=hints, code="no-network")
    return NotReadyError(f"cannot reach the package index at {_host(url)}", hints=hints, code="no-network")
