"""The index client: pages, files and parts of files, in parallel, through a disk cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock as Mutex
from urllib.parse import urlsplit

from envsolve.errors import NotReadyError
from envsolve.lock.cache import Cache
from envsolve.lock.pages import JSON_TYPE, File, PageError, Project, canonical, pack, parse_page, unpack
from envsolve.lock.pipconfig import IndexConfig, redact
from envsolve.lock.transport import LARGEST, LARGEST_PAGE, PARALLEL, Counts, Transport

DEFAULT = "default"
"""What files of the ordinary index say of where they come from."""
PAGE_AGE = 600.0
"""Seconds for which a cached index page is taken as it is."""

# Bump when the layout of what is kept changes.
_LAYOUT = "2"


class Index:
    """The user's package index. Pages are asked for once per Index; content by hash is cached for good.

    ``scopes``: package -> address of the index that it comes from instead, and from no other. Indexes that pip's
    configuration adds without a scope are not asked: of the same name, any of them could put a higher version in.
    Offline, cached pages of any age are used and nothing is fetched.
    """

    def __init__(
        self,
        config: IndexConfig,
        *,
        scopes: Mapping[str, str] | None = None,
        offline: bool = False,
        cache_dir: Path | None = None,
    ) -> None:
        self.config = config
        self.scopes = {canonical(name): url.rstrip("/") for name, url in (scopes or {}).items()}
        self.offline = offline
        self._cache = Cache(cache_dir)
        self._transport = Transport(config)
        self._projects: dict[str, Future[Project]] = {}
        self._mutex = Mutex()
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="index")
        self._notes: set[str] = {*config.notes, *self._unasked()}

    def close(self) -> None:
        """Stop the threads; nothing more is fetched."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def counts(self) -> Counts:
        """Requests, bytes and cache hits so far."""
        return self._transport.counts

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, each once, in a fixed order."""
        return tuple(sorted(self._notes))

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for work that waits for the network; work that waits for other work in it must not go here."""
        return self._pool

    def prefetch(self, names: Iterable[str]) -> None:
        """Start fetching the pages of these projects; errors are raised when one is asked for."""
        for name in names:
            self._promise(canonical(name))

    def project(self, name: str) -> Project:
        """All that the indexes know of a project.

        Raises NotReadyError: no network, refused, an index without dates, or not in the cache while offline.
        """
        return self._promise(canonical(name)).result()

    def _promise(self, name: str) -> Future[Project]:
        with self._mutex:
            if name not in self._projects:
                self._projects[name] = self._pool.submit(self._read_project, name)
            return self._projects[name]

    def _read_project(self, name: str) -> Project:
        """From the index in whose scope it is, else from the ordinary one; never from both."""
        url = self.scopes.get(name)
        files = self._page(url or self.config.index_url, name, url or DEFAULT)
        return Project(name, files or (), known=files is not None)

    @property
    def unscoped(self) -> tuple[str, ...]:
        """Extra indexes of pip's configuration that have no scope, without credentials: they are not asked."""
        bare = dict.fromkeys(redact(url).rstrip("/") for url in self.config.extra_index_urls)
        return tuple(url for url in bare if url not in self.scopes.values())

    def _unasked(self) -> Iterator[str]:
        if self.unscoped:
            hosts = ", ".join(urlsplit(url).netloc for url in self.unscoped)
            yield (
                f"pip's extra-index-url ({hosts}) is not asked, for nothing says which packages come from there; "
                "--index URL=PACKAGE does"
            )

    def called(self, name: str) -> str:
        """The index that a project comes from, in words."""
        url = self.scopes.get(canonical(name))
        return "the index" if url is None else f"the index {url}"

    def idle(self, names: Iterable[str]) -> Iterator[str]:
        """The addresses in whose scope none of these packages is."""
        used = {self.scopes.get(canonical(name)) for name in names}
        yield from sorted(set(self.scopes.values()) - used)

    def _page(self, url: str, name: str, role: str) -> tuple[File, ...] | None:
        """A page's files; None when the index has no such project."""
        base = redact(url).rstrip("/")
        key = f"pages-{_LAYOUT}/{hashlib.sha256(f'{role} {base}'.encode()).hexdigest()[:12]}/{name}"
        kept = self._kept(key)
        age = self._cache.age(key)
        if kept is not None and (self.offline or (age is not None and age < PAGE_AGE)):
            self.counts.add(cached=1)
            return kept[0]
        if self.offline:
            raise NotReadyError(
                f"the page of {name} is not in the cache, and --offline forbids to fetch it",
                hints=("run the same command once without --offline",),
                code="offline",
            )
        if not base.startswith(("http://", "https://")):
            raise _without_dates(_named(role), "it is a folder of files, without upload times")
        headers = {"Accept": f"{JSON_TYPE}, text/html;q=0.1"}
        if kept is not None and kept[1]:
            headers["If-None-Match"] = kept[1]
        return self._fetch_page(f"{base}/{name}/", headers, key, role, kept)

    def _fetch_page(
        self,
        address: str,
        headers: dict[str, str],
        key: str,
        role: str,
        kept: tuple[tuple[File, ...] | None, str] | None,
    ) -> tuple[File, ...] | None:
        answer = self._transport.get(address, headers, LARGEST_PAGE)
        if answer.status == 304 and kept is not None:
            self._cache.touch(key)
            return kept[0]
        if answer.status == 404:
            self._cache.put(key, b"\n404")
            return None
        try:
            files = parse_page(answer.content, address, role)
        except PageError as error:
            raise _without_dates(_named(role), str(error), ordinary=role == DEFAULT) from error
        self._cache.put(key, (answer.etag or "").encode() + b"\n" + pack(files))
        return files

    def _kept(self, key: str) -> tuple[tuple[File, ...] | None, str] | None:
        """A cached page and its ETag; None when there is none that can be read."""
        content = self._cache.get(key)
        if content is None:
            return None
        etag, _, body = content.partition(b"\n")
        if body == b"404":
            return None, ""
        try:
            return unpack(body), etag.decode("ascii", "replace")
        except (ValueError, TypeError):
            return None

    def kept_by_hash(self, kind: str, sha256: str) -> bytes | None:
        """Something derived from a file with this hash, kept earlier."""
        content = self._cache.get(f"{kind}/{sha256[:2]}/{sha256}")
        if content is not None:
            self.counts.add(cached=1)
        return content

    def keep_by_hash(self, kind: str, sha256: str, content: bytes) -> None:
        """Keep something derived from a file with this hash."""
        self._cache.put(f"{kind}/{sha256[:2]}/{sha256}", content)

    def download(self, url: str, filename: str, sha256: str | None) -> bytes:
        """A whole file. Raises NotReadyError ("hash-mismatch") when it is not what the index promised."""
        self._online(filename)
        answer = self._transport.get(url)
        if answer.status != 200:
            raise NotReadyError(f"the index lists {filename} and does not have it", code="index-error")
        if sha256 and hashlib.sha256(answer.content).hexdigest() != sha256:
            raise NotReadyError(
                f"{filename} is not the file that the index lists: its SHA-256 differs",
                hints=("try again; if it stays so, the mirror or a proxy changes files",),
                code="hash-mismatch",
            )
        return answer.content

    def stream(self, url: str, filename: str, start: int) -> Iterator[tuple[int | None, bytes]]:
        """Pieces of a file from an offset on, each with its offset; raises as ``Transport.stream`` does."""
        self._online(filename)
        return self._transport.stream(url, start, filename)

    def part(self, file: File, start: int, end: int) -> tuple[int, bytes]:
        """Bytes ``start`` to ``end`` (inclusive) of a file -> their offset and the bytes.

        A server that knows no ranges gives the whole file: offset 0.
        """
        self._online(file.filename)
        headers = {"Range": f"bytes={start}-{end}", "Accept-Encoding": "identity"}
        answer = self._transport.get(file.url, headers, max(LARGEST, file.size))
        if answer.status not in (200, 206):
            raise NotReadyError(f"the index lists {file.filename} and does not have it", code="index-error")
        return (start if answer.status == 206 else 0), answer.content

    def _online(self, filename: str) -> None:
        if self.offline:
            raise NotReadyError(
                f"{filename} is not in the cache, and --offline forbids to fetch it",
                hints=("run the same command once without --offline",),
                code="offline",
            )


def _named(role: str) -> str:
    return "the index in pip's configuration" if role == DEFAULT else f"the index {role}"


def _without_dates(what: str, why: str, *, ordinary: bool = True) -> NotReadyError:
    return NotReadyError(
        f"{what} cannot give packages as of a date: {why}",
        facts=("a lock as of a date needs the simple index as JSON (PEP 691) with upload times (PEP 700)",),
        hints=(
            "pip config set global.index-url URL   # an index or mirror that serves both"
            if ordinary
            else "--index URL=PACKAGE   # of a mirror that serves both",
        ),
        code="index-without-dates",
    )
