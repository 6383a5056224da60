"""The public names of a release: module -> name -> signature, and the modules whose names are not all known."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from symbols.resolve import MODULE, Found, Release

_DEEPEST = 7
_WAYS = 3
Table = dict[str, dict[str, str]]


@dataclass
class Names:
    """``modules``: '' is a name whose signature is not known, 'm' a module, else the parameters in brackets."""

    modules: Table = field(default_factory=dict)
    open: set[str] = field(default_factory=set)


def names_of(release: Release, roots: list[str], walked: bool, classes: frozenset[str]) -> Names:
    """Every name that a user can reach. ``walked``: by following attributes from the roots, else module by module."""
    found = Names()
    for module in release.modules():
        if module.split(".")[0] in roots:
            _add_module(found, module)
    if walked:
        for root in roots:
            if release.has(root):
                _walk(release, found, root, classes)
        for module in release.modules():
            if module not in found.modules or len(found.modules[module]) == 0:
                _own(release, found, module)
    else:
        for module in release.modules():
            _fill(release, found, module, module, classes, own=False)
    return found


def _add_module(found: Names, module: str) -> None:
    parent, _, name = module.rpartition(".")
    found.modules.setdefault(module, {})
    if parent:
        found.modules.setdefault(parent, {}).setdefault(name, MODULE)


def _walk(release: Release, found: Names, root: str, classes: frozenset[str]) -> None:
    """Follow attributes from a root, shortest way first; a module that many reach is written for the first few."""
    queue: deque[tuple[str, str, tuple[str, ...]]] = deque([(root, root, ())])
    times: Counter[str] = Counter()
    while queue:
        shown, real, path = queue.popleft()
        if real in path or len(path) > _DEEPEST or times[real] >= _WAYS or ".compat.v1.compat" in shown:
            continue
        times[real] += 1
        inner = _fill(release, found, shown, real, classes, own=False)
        kept = release.kept(real)
        whole = real in release.packages
        for name, module in inner:
            follow = name in kept if kept is not None and not whole else whole or module.startswith(f"{real}.")
            if not name.startswith("_") and follow:
                queue.append((f"{shown}.{name}", module, (*path, real)))


def _fill(
    release: Release, found: Names, shown: str, real: str, classes: frozenset[str], own: bool
) -> list[tuple[str, str]]:
    """Write one module's names; the modules among them."""
    space, is_open = release.space(real)
    if is_open:
        found.open.add(shown)
    table = found.modules.setdefault(shown, {})
    inner: list[tuple[str, str]] = []
    for name in [*space, *(c for c in release.children(real) if c not in space)]:
        end = release.member(real, name)
        if end.kind == "value" and release.has(f"{real}.{name}"):  # a loader stands in for the module
            end = Found("module", f"{real}.{name}")
        if name.startswith("__") or (own and end.module != real):
            continue
        if end.kind == "module":
            table[name] = MODULE
            inner.append((name, end.module))
        elif end.kind in ("def", "class", "value") and end.module.partition(".")[0] == real.partition(".")[0]:
            signature = release.signature(end)
            table[name] = "" if signature is None else f"({signature})"
            if end.kind == "class" and name in classes:
                _methods(release, found, f"{shown}.{name}", end)
        elif (
            end.kind in ("outside", "unknown")
            and not name.startswith("_")
            and name in (release.summary(real).exported or ())
        ):
            table[name] = ""
    return inner


def _methods(release: Release, found: Names, shown: str, end: Found) -> None:
    table = found.modules.setdefault(shown, {})
    for name, signature in release.methods(end).items():
        if name == "?":
            found.open.add(shown)
        else:
            table[name] = "" if signature is None else f"({signature})"


def _own(release: Release, found: Names, module: str) -> None:
    """What a module defines itself, without signatures: it is no public one, and people import from it anyway."""
    space, is_open = release.space(module)
    if is_open:
        found.open.add(module)
    table = found.modules.setdefault(module, {})
    for name, (where, binding) in space.items():
        if not name.startswith("__") and (binding.kind in ("def", "class") or where != module):
            table.setdefault(name, "")
