"""The Python that the lock is for: its wheel tags and marker environment, without that interpreter at hand."""

from __future__ import annotations

from functools import cached_property

from packaging.tags import compatible_tags, cpython_tags

from envsolve.lock.requirement import admits, parse_specifier, parse_version

# The names that manylinux had before they carried the glibc version, by that version's minor number.
_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_GLIBC_MINOR = 5


class Target:
    """One Python on one Linux. ``glibc`` is 'X.Y'; ``full`` the patch release that markers see."""

    def __init__(self, *, full: str, abi: str, glibc: str, machine: str = "x86_64") -> None:
        self.full = full
        self.version = ".".join(full.split(".")[:2])
        self.abi = abi
        self.glibc = glibc
        self.machine = machine
        self._full = parse_version(full)

    @property
    def _pair(self) -> tuple[int, int]:
        major, minor = self.version.split(".")
        return int(major), int(minor)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The values that environment markers see there."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full,
            "python_version": self.version,
            "sys_platform": "linux2" if self._pair[0] == 2 else "linux",
        }

    def _platforms(self) -> list[str]:
        major, minor = (int(part) for part in self.glibc.split(".")[:2])
        names: list[str] = []
        for number in range(minor, _OLDEST_GLIBC_MINOR - 1, -1):
            names.append(f"manylinux_{major}_{number}_{self.machine}")
            if number in _LEGACY_MANYLINUX:
                names.append(f"{_LEGACY_MANYLINUX[number]}_{self.machine}")
        return [*names, f"linux_{self.machine}"]

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Tag -> its rank, lower is better: what pip on that Python would install, in its order."""
        ranks: dict[str, int] = {}
        platforms = self._platforms()
        interpreter = "cp{}{}".format(*self._pair)
        for tag in cpython_tags(self._pair, [self.abi], platforms):
            ranks.setdefault(str(tag), len(ranks))
        for tag in compatible_tags(self._pair, interpreter, platforms):
            ranks.setdefault(str(tag), len(ranks))
        return ranks

    def rank(self, tags: str) -> int | None:
        """The best rank among a file name's compressed tags ('py2.py3-none-any'); None: unusable here."""
        pythons, abis, platforms = tags.split("-")
        found = [
            self.ranks[tag]
            for python in pythons.split(".")
            for abi in abis.split(".")
            for platform in platforms.split(".")
            if (tag := f"{python}-{abi}-{platform}".lower()) in self.ranks
        ]
        return min(found, default=None)

    def supports(self, requires_python: str | None) -> bool:
        """Whether a ``requires-python`` admits this Python; one that cannot be read admits all, as pip has it."""
        if not requires_python or self._full is None:
            return True
        specifier = parse_specifier(requires_python)
        return specifier is None or admits(specifier, self._full)
