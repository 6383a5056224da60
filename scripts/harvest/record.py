"""A record: all that was read of one wheel, one line of ``inputs/records/PACKAGE.jsonl``.

``read``: 'full' (every native member), 'same' (its libraries are, by size and CRC, those of the record ``same_as``),
'cheap' (directory and texts only: everything that needs machine code is null). ``own_sets``: containers that nvcc
made, by what is in them, of ``gpu_member``, the library with most of them; those of other libraries of the wheel are in
``other_sets``, those that others made (MLIR) in ``elsewhere_sets``, NVIDIA's bundled files in ``bundled_gpu_code``.
``sass``, ``ptx``: the set that most of the own code was built for; ``coverage``: how the own containers run, by GPU;
``sass_any``, ``ptx_any``: the union, which says more than the framework can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envsolve.lock.pages import File
from harvest import fatbin, verdict
from harvest.constants import version_of
from harvest.fatbin import GpuCode
from harvest.native import Native, Note, candidates, read_native, version_key
from harvest.strings import is_cuda, soname_versions
from harvest.texts import Stated, TextRule, read_texts
from harvest.transport import Source
from harvest.zipdir import Member, read_directory

Record = dict[str, Any]

_LARGE = 4 << 20
READS = ("full", "same")
"""Kinds of record that know the machine code."""


@dataclass(frozen=True)
class Reading:
    """How to read: rules for texts, the PTX ISA's CUDA releases, whether to count instructions, where to unpack."""

    texts: Sequence[TextRule]
    ptx_isa: Mapping[str, str]
    count_cpu: bool = True
    folder: Path | None = None


def _tags(filename: str) -> dict[str, str]:
    python, abi, platform = filename.removesuffix(".whl").split("-")[-3:]
    return {"python_tag": python, "abi": abi, "platform_tag": platform}


def identity(package: str, version: str, file: File, files: Sequence[File]) -> Record:
    """What the index says: of the file that is read, and of its siblings for other Pythons."""
    siblings = [
        {"filename": f.filename, "size": f.size, "sha256": f.sha256, "upload_time": f.upload_time}
        | ({"yanked": f.yanked} if f.yanked is not None else {})
        for f in sorted(files, key=lambda f: f.filename)
    ]
    return {
        "package": package,
        "version": version,
        "filename": file.filename,
        "sha256": file.sha256,
        "upload_time": file.upload_time,
        "size": file.size,
        "requires_python": file.requires_python,
        "yanked": file.yanked,
        **_tags(file.filename),
        "files": siblings,
    }


def native_members(members: Sequence[Member]) -> list[list[Any]]:
    """Base name, size and CRC of the libraries above four megabytes: equal lists are equal code."""
    return sorted([m.base, m.size, f"{m.crc:08x}"] for m in candidates(members) if m.size >= _LARGE)


def read_cheap(source: Source, reading: Reading) -> tuple[Record, list[Member], Stated]:
    """Directory and texts. Raises UnreadableError when the file is no zip that can be read in parts."""
    members = read_directory(source)
    stated = read_texts(source, members, reading.texts)
    record: Record = {
        "read": "cheap",
        "members": native_members(members),
        "native_size": sum(m.size for m in candidates(members)),
        "bundled_libs": sorted({m.base for m in candidates(members) if is_cuda(m.base)}),
        "requires_dist": stated.requires_dist,
        **_versions(stated.evidence),
    }
    if stated.troubles:
        record["unreadable"] = stated.troubles
    return record, members, stated


def _versions(evidence: Mapping[str, str]) -> Record:
    return {
        "cuda": verdict.cuda(evidence),
        "cudnn": verdict.cudnn(evidence),
        "nccl": verdict.nccl(evidence),
        "evidence": dict(sorted(evidence.items())),
    }


def read_full(source: Source, reading: Reading, note: Note | None = None) -> Record:
    """Everything. Raises UnreadableError when the file or a member of it is broken."""
    record, members, stated = read_cheap(source, reading)
    found = read_native(source, members, count_cpu=reading.count_cpu, note=note, folder=reading.folder)
    stated_lists = sorted(found.stated)
    evidence = stated.evidence | found.evidence | _linked(found) | _isa(found, reading.ptx_isa)
    if "capabilities" not in evidence and len(stated_lists) == 1:
        evidence["arch_string"] = stated_lists[0]
    record |= {"read": "full", **_floors(found), **_names(found), **_gpu(found, stated_lists), **_versions(evidence)}
    record["cpu"] = found.cpu
    record["exec_stack"] = dict(sorted(found.exec_stack.items()))
    record["compilers"] = sorted(found.compilers)
    if stated.troubles or found.unreadable:
        record["unreadable"] = [*stated.troubles, *found.unreadable]
    return record


def _floors(found: Native) -> Record:
    values = {prefix: found.floors.get(prefix) for prefix in ("GLIBC", "GLIBCXX", "CXXABI")}
    floors = {f"{prefix.lower()}_floor": value[0] if value else None for prefix, value in values.items()}
    return floors | {
        "floor_set_by": {prefix: value[1] for prefix, value in values.items() if value and prefix != "CXXABI"}
    }


def _names(found: Native) -> Record:
    needed = sorted(found.needed - found.names)
    return {
        "needed": needed,
        "needed_cuda": [name for name in needed if is_cuda(name)],
        "dlopen_sonames": sorted(found.dlopened),
    }


def _linked(found: Native) -> dict[str, str]:
    """Versions from the names of libraries, NEEDED or bundled, and from what a bundled cuDNN returns."""
    versions = soname_versions(sorted(found.needed | {n for n in found.names if is_cuda(n)}))
    evidence = {f"{name}_soname": versions[name] for name in ("cudart", "cudnn") if name in versions}
    if found.bundled_cudnn:
        evidence["cudnn_imm"] = version_of(max(found.bundled_cudnn.values()))
    return evidence


def _isa(found: Native, releases: Mapping[str, str]) -> dict[str, str]:
    """The CUDA release of most of the own PTX (nvcc's: others choose an older ISA), else of the linker's inputs."""
    linked = sum((code.link_isa for code in found.gpu.values()), Counter[str]())
    counts = _main(found)[1].ptx_isa or linked
    best = min(counts, key=lambda isa: (-counts[isa], version_key(isa)), default="")
    return {"cuda_from_ptx_isa": releases[best]} if best in releases else {}


def _sets(sets: Counter[fatbin.Set]) -> dict[str, int]:
    return {" ".join(names): count for names, count in sorted(sets.items(), key=lambda pair: (-pair[1], pair[0]))}


def _any(codes: Sequence[GpuCode], kind: str) -> list[str]:
    sets = [names for code in codes for names in (*code.sets, *code.elsewhere)]
    return fatbin.ordered({name for names in sets for name in names if name.startswith(kind)})


def _main(found: Native) -> tuple[str | None, GpuCode]:
    """The library with most containers of nvcc's, and its code; where none has any, code that others made counts."""
    name = min(found.gpu, key=lambda n: (-sum(found.gpu[n].sets.values()), n), default=None)
    if name is None:
        return None, GpuCode()
    if found.gpu[name].sets:
        return name, found.gpu[name]
    name = min(found.gpu, key=lambda n: (-sum(found.gpu[n].elsewhere.values()), n))
    code = found.gpu[name]
    return name, GpuCode(code.elsewhere, type(code.elsewhere)(), code.ptx_isa, code.cubins)


def _others(found: Native, main: str | None) -> GpuCode:
    code = GpuCode()
    for name, other in found.gpu.items():
        code.add(GpuCode(Counter(), other.elsewhere, Counter(), other.cubins) if name == main else other)
    return code


def _elsewhere(found: Native, main: str | None) -> Counter[fatbin.Set]:
    """Code of the main library that others than nvcc made, where nvcc made some too."""
    return found.gpu[main].elsewhere if main and found.gpu[main].sets else Counter()


def _gpu(found: Native, stated: Sequence[str]) -> Record:
    name, code = _main(found)
    others = _others(found, name)
    declared = stated[0].split() if len(stated) == 1 else ()
    sass, ptx = fatbin.own(code.sets, declared) or ([], [])
    everything = [*found.gpu.values(), *found.bundled.values()]
    record: Record = {
        "sass": sass,
        "ptx": ptx,
        "sass_any": _any(everything, "sm_"),
        "ptx_any": _any(everything, "compute_"),
        "gpu_member": name,
        "own_sets": _sets(code.sets),
        "own_containers": sum(code.sets.values()),
        "coverage": fatbin.coverage(code.sets + _elsewhere(found, name)),
        "ptx_isa": dict(sorted(code.ptx_isa.items(), key=lambda pair: version_key(pair[0]))),
        "arch_strings": list(stated),
    }
    if others.sets:
        record["other_sets"] = _sets(others.sets)
    if others.elsewhere:
        record["elsewhere_sets"] = _sets(others.elsewhere)
    if others.cubins:
        record["bare_cubins"] = {name: others.cubins[name] for name in fatbin.ordered(set(others.cubins))}
    if found.bundled:
        record["bundled_gpu_code"] = {
            name: {
                "cudnn_version": found.bundled_cudnn.get(name),
                "sets": _sets(code.sets),
                "ptx_isa": dict(sorted(code.ptx_isa.items(), key=lambda pair: version_key(pair[0]))),
                "coverage": fatbin.coverage(code.sets),
            }
            for name, code in sorted(found.bundled.items())
        }
    return record


def same(record: Record, twin: Record) -> Record:
    """A cheap record, made whole by evidence that the libraries are those of another wheel of which all was read."""
    read_before = {k: v for k, v in twin.items() if k not in record and k not in ("why_full", "same_as")}
    return (
        record
        | read_before
        | {
            "read": "same",
            "same_as": f"{twin['package']}=={twin['version']} {twin['sha256']}",
            **_versions(twin["evidence"] | record["evidence"]),
        }
    )
