"""Follow names through a release's modules: imports, ``*``, ``__all__``, aliases, base classes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from symbols.module import Binding, Module, summarize

_DEEP = 40
MODULE = "m"


@dataclass(frozen=True)
class Found:
    """Where a name ends. ``kind``: module, def, class, value, outside (another package) or unknown."""

    kind: str
    module: str = ""
    binding: Binding | None = None


class Release:
    """The sources of one release. ``summaries``: shared by releases, since most files do not change."""

    def __init__(self, sources: dict[str, bytes], summaries: dict[int, Module]) -> None:
        self._sources: dict[str, tuple[bytes, bool]] = {}
        for path, content in sources.items():
            name = path.rpartition(".")[0].replace("/", ".")
            package = name.endswith(".__init__")
            name = name.removesuffix(".__init__")
            if path.endswith(".py") or name not in self._sources:
                self._sources[name] = (content, package)
        self.packages = {n for n, (_, p) in self._sources.items() if p}
        self._summaries = summaries
        self._spaces: dict[str, tuple[dict[str, tuple[str, Binding]], bool]] = {}
        self._busy: set[str] = set()

    def modules(self) -> list[str]:
        """Every module, in order."""
        return sorted(self._sources)

    def has(self, module: str) -> bool:
        """Whether there is such a module."""
        return module in self._sources

    def children(self, module: str) -> Iterator[str]:
        """The names of a package's own submodules."""
        if module in self.packages:
            start = f"{module}."
            for name in self._sources:
                if name.startswith(start) and "." not in name[len(start) :]:
                    yield name[len(start) :]

    def summary(self, module: str) -> Module:
        """The summary of a module."""
        content = self._sources[module][0]
        key = zlib.crc32(content) * 31 + len(content)
        if key not in self._summaries:
            self._summaries[key] = summarize(content.decode("utf-8", "replace"))
        return self._summaries[key]

    def absolute(self, module: str, level: int, target: str) -> str:
        """The module that ``from ..target import`` in ``module`` means."""
        if level == 0:
            if not self.has(target) and "." in module:  # Python 2's implicit relative import
                package = module if module in self.packages else module.rpartition(".")[0]
                if self.has(f"{package}.{target}"):
                    return f"{package}.{target}"
            return target
        parts = module.split(".")
        parts = parts[: len(parts) - level + (1 if module in self.packages else 0)]
        return ".".join([*parts, *([target] if target else [])])

    def space(self, module: str) -> tuple[dict[str, tuple[str, Binding]], bool]:
        """Name -> (module that says so, binding), and whether there may be more names than these."""
        if module in self._spaces:
            return self._spaces[module]
        if module in self._busy:
            return {}, False
        self._busy.add(module)
        summary = self.summary(module)
        names: dict[str, tuple[str, Binding]] = {}
        is_open = summary.open
        for level, target in summary.stars:
            other = self.absolute(module, level, target)
            if not self.has(other):
                is_open = is_open or not self._harmless(other)
                continue
            theirs, theirs_open = self.space(other)
            is_open = is_open or theirs_open
            exported = self.summary(other).exported
            if exported is not None:
                names |= {name: value for name, value in theirs.items() if name in exported}
            else:
                names |= {name: value for name, value in theirs.items() if not name.startswith("_")}
        names |= {name: (module, binding) for name, binding in summary.names.items()}
        self._busy.discard(module)
        self._spaces[module] = (names, is_open)
        return names, is_open

    @staticmethod
    def _harmless(module: str) -> bool:
        return module.partition(".")[0] in ("__future__", "typing", "ctypes")

    def kept(self, module: str) -> set[str] | None:
        """What a module that deletes its undocumented names says it keeps; None for a module that deletes none."""
        summary = self.summary(module)
        if summary.pruned is None:
            return None
        keep = {*summary.pruned, *summary.documented}
        for word in summary.pruned_by:
            if word.startswith("="):
                binding = summary.names.get(word[1:])
                keep |= set(binding.extra) if binding else set()
                continue
            found = self.follow(module, word)
            if found.kind == "module":
                keep |= set(self.summary(found.module).documented)
        return keep

    def follow(self, module: str, name: str, depth: int = 0) -> Found:
        """What a dotted name means in a module."""
        first, _, rest = name.partition(".")
        found = self._one(module, first, depth)
        while rest and found.kind == "module":
            first, _, rest = rest.partition(".")
            found = self.member(found.module, first, depth + 1)
        return found if not rest else Found("value" if found.kind == "class" else "unknown")

    def member(self, module: str, name: str, depth: int = 0) -> Found:
        """An attribute of a module: a name of its own, or a submodule."""
        found = self._one(module, name, depth)
        if found.kind == "unknown" and self.has(f"{module}.{name}"):
            return Found("module", f"{module}.{name}")
        return found

    def _one(self, module: str, name: str, depth: int) -> Found:
        if depth > _DEEP:
            return Found("unknown")
        entry = self.space(module)[0].get(name) or self._own(module, name)
        if entry is None:
            return Found("unknown")
        return self.end(*entry, depth + 1)

    def _own(self, module: str, name: str) -> tuple[str, Binding] | None:
        binding = self.summary(module).names.get(name)
        return (module, binding) if binding else None

    def end(self, where: str, binding: Binding, depth: int = 0) -> Found:
        """Where a binding of module ``where`` ends."""
        if depth > _DEEP:
            return Found("unknown")
        if binding.kind == "from":
            source = self.absolute(where, binding.level, binding.target)
            if self.has(source):
                if source == where and self.has(f"{where}.{binding.name}"):
                    return Found("module", f"{where}.{binding.name}")
                return self.member(source, binding.name, depth + 1)
            whole = f"{source}.{binding.name}"
            return Found("module", whole) if self.has(whole) else Found("outside")
        if binding.kind == "module":
            return Found("module", binding.target) if self.has(binding.target) else Found("outside")
        if binding.kind == "alias":
            found = self.follow(where, binding.target, depth + 1)
            return found if found.kind in ("def", "class", "module") else Found("value", where, binding)
        return Found("value" if binding.kind == "legacy" else binding.kind, where, binding)

    # -- signatures ----------------------------------------------------------------------------------------------

    def signature(self, found: Found) -> str | None:
        """The parameters that a call may use; None: not known."""
        if found.binding is None:
            return None
        if found.kind == "def":
            return self._decorated(found.module, found.binding)
        return self._constructor(found, 0) if found.kind == "class" else None

    def _decorated(self, where: str, binding: Binding) -> str | None:
        if binding.signature is None:
            return None
        if not binding.decorators:
            return binding.signature
        extra = list(binding.extra)
        for decorator in binding.decorators:
            if "legacy" not in decorator:
                continue
            found = self._legacy(where, decorator)
            if found is None:
                return None
            extra += found
        words = [w for w in binding.signature.split(",") if w]
        have = {w.strip("-=") for w in words}
        return ",".join([*words, *(f"-{e}=" for e in dict.fromkeys(extra) if e not in have), "~"])

    def _legacy(self, where: str, decorator: str) -> list[str] | None:
        """Old argument names that a decorator translates; None when it is none that says."""
        first, _, rest = decorator.partition(".")
        holder = self._one(where, first, 0) if rest else Found("module", where)
        if holder.kind != "module":
            return None
        entry = self.space(holder.module)[0].get(rest or first)
        if entry is None:
            return None
        home, binding = entry
        if binding.kind == "from":
            source = self.absolute(home, binding.level, binding.target)
            return self._legacy(source, binding.name) if self.has(source) and source != home else None
        if binding.kind != "legacy":
            return None
        helper = self.summary(home).names.get(binding.target)
        return [*binding.extra, *(helper.extra if helper else ())]

    def _constructor(self, found: Found, depth: int) -> str | None:
        binding = found.binding
        if binding is None or depth > 8:
            return None
        if binding.name != "own":
            base = self._base(found)
            return self._constructor(base, depth + 1) if base else None
        own = self._decorated(found.module, binding)
        if own is None or "**" not in own.split(","):
            return own
        words = [w for w in own.split(",") if w != "**"]
        extra = list(binding.extra)
        if binding.closed:
            return _joined(words, extra)
        base = self._base(found)
        theirs = self._constructor(base, depth + 1) if base else None
        if theirs is None or "**" in theirs.split(",") or not theirs:
            return own
        return _joined(words, [*extra, *(w.strip("-=") for w in theirs.split(",") if w.strip("-=*~"))])

    def _base(self, found: Found) -> Found | None:
        if found.binding is None or not found.binding.bases:
            return None
        base = self.follow(found.module, found.binding.bases[0])
        return base if base.kind == "class" and base != found else None

    def methods(self, found: Found, depth: int = 0) -> dict[str, str | None]:
        """The public methods of a class, inherited ones too; '?' among them when a base is not known."""
        if found.binding is None or depth > 8:
            return {"?": None}
        names: dict[str, str | None] = {}
        for text in reversed(found.binding.bases):
            if text in ("object", "?"):
                names |= {} if text == "object" else {"?": None}
                continue
            base = self.follow(found.module, text)
            if base.kind == "class" and base != found:
                names |= self.methods(base, depth + 1)
            else:
                names["?"] = None
        return names | dict(found.binding.methods)


def _joined(words: list[str], extra: list[str]) -> str:
    have = {w.strip("-=") for w in words}
    more = [f"-{e}=" for e in dict.fromkeys(extra) if e not in have]
    tail = ["~"] if "~" in words else []
    return ",".join([w for w in words if w != "~"] + more + tail)
