"""Indexes beside the ordinary one, each with its scope: the packages that come from it, from it alone, and it alone.

A scope is a list of names and no pattern, so that nobody can slip a package into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envsolve.errors import UsageError
from envsolve.models import Lock, Request, ScopedIndex, Stack

if TYPE_CHECKING:
    from envsolve.matrices import Facts

# What a Dockerfile and every pip take as it is; no query, which no simple index needs.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~%+-]+)*/?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FORM = "--index URL=PACKAGE,PACKAGE"
_SCOPE = "a package of its scope is taken from that index alone, and no other package ever is"


def parse_index(text: str) -> ScopedIndex:
    """``URL=PACKAGE,...`` as on the command line. Raises UsageError ("bad-index")."""
    url, equals, packages = text.strip().rpartition("=")
    if not equals:
        raise _bad(f"--index {_shown(text.strip())}: which packages come from it is missing")
    return scoped(url, packages.split(","), "--index")


def read_indexes(value: Any, origin: str) -> tuple[ScopedIndex, ...]:
    """The list of tables with ``url`` and ``packages`` of a configuration. Raises UsageError ("bad-index")."""
    rows = value if isinstance(value, list) else [value]
    found = []
    for row in rows:
        if not isinstance(row, dict) or set(row) != {"url", "packages"} or not isinstance(row["url"], str):
            raise UsageError(
                f"{origin}: indexes is a list of tables, each with url and packages",
                facts=(_SCOPE,),
                hints=('indexes = [{url = "https://wheels.example.org/simple", packages = ["mine"]}]',),
                code="bad-index",
            )
        names = [row["packages"]] if isinstance(row["packages"], str) else row["packages"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _bad(f"{origin}: packages of {_shown(row['url'])} must be a list of names")
        found.append(scoped(row["url"], names, origin))
    return agreed(found)


def scoped(url: str, packages: Iterable[str], origin: str) -> ScopedIndex:
    """An index with its scope, checked. Raises UsageError ("bad-index")."""
    url = url.strip()
    _without_credentials(url, origin)
    if not _ADDRESS.fullmatch(url) or ".." in url:
        raise _bad(f"{origin}: {_shown(url)!r} is not the address of an index (http or https, without a query)")
    names = [name.strip() for name in packages if name.strip()]
    if not names:
        raise _bad(f"{origin}: which packages come from {url} is missing")
    for name in names:
        if not _NAME.fullmatch(name):
            raise _bad(f"{origin}: {name!r} is not the name of a package; a scope is names, no patterns or versions")
    return ScopedIndex(url=url.rstrip("/"), packages=tuple(sorted({_canonical(name) for name in names})))


def agreed(indexes: Iterable[ScopedIndex]) -> tuple[ScopedIndex, ...]:
    """Each address once, in a fixed order. Raises UsageError ("bad-index") for a package of two scopes."""
    scopes: dict[str, set[str]] = {}
    for index in indexes:
        scopes.setdefault(index.url, set()).update(index.packages)
    found = tuple(ScopedIndex(url=url, packages=tuple(sorted(names))) for url, names in sorted(scopes.items()))
    owners: dict[str, str] = {}
    for index in found:
        for name in index.packages:
            if name in owners:
                raise _bad(f"{name} is in the scope of two indexes, {owners[name]} and {index.url}")
            owners[name] = index.url
    return found


def scopes(request: Request, stack: Stack | None = None, facts: Facts | None = None) -> dict[str, str]:
    """Package -> the address of the one index that it comes from.

    By the request; else, of a framework of the stack, by the database, where its index serves upload times.
    """
    found: dict[str, str] = {}
    known = set(facts.framework_names()) if facts is not None else set()
    for choice in stack.frameworks if stack is not None else ():
        if facts is not None and choice.name in known:
            for build in facts.framework(choice.name).builds:
                if (build.package, build.version) == (choice.package, choice.version) and build.index_dates:
                    found[_canonical(build.package)] = str(build.index)
    return found | {name: index.url for index in request.indexes for name in index.packages}


def scopes_of(lock: Lock) -> dict[str, str]:
    """The same of what is locked already."""
    return scopes(lock.request) | {p.name: p.index for p in lock.packages if "://" in p.index}


def _without_credentials(url: str, origin: str) -> None:
    parts = urlsplit(url) if "://" in url else None
    if parts is not None and "@" in parts.netloc:
        host = parts.netloc.rpartition("@")[2]
        raise UsageError(
            f"{origin}: the address of {host} has credentials in it, which the lock would give to everybody",
            facts=("they are taken from ~/.netrc, or from an address of the same host in pip's configuration",),
            hints=(f"echo 'machine {host.partition(':')[0]} login NAME password WORD' >>~/.netrc",),
            code="bad-index",
        )


def _bad(message: str) -> UsageError:
    return UsageError(message, facts=(_SCOPE,), hints=(_FORM,), code="bad-index")


def _shown(url: str) -> str:
    """An address as it can be repeated: without what may be a password."""
    return re.sub(r"(?<=//)[^/]*@", "", url)[:200]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
