"""Keras models: the marks of an HDF5 file, of an architecture in JSON and of a ``.keras`` file's members."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from packaging.version import InvalidVersion, Version

from envsolve.scan.models import bytecode, hdf5
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source, printable

SPLIT = re.compile(r"^(layer_names|weight_names)\d+$")
"""Long lists of names are split over numbered attributes."""
_NODES = 200_000


def read_hdf5(source: Source, notes: Notes) -> None:
    """A model or weights in HDF5. Raises NotThisFormatError when the file is no HDF5 or no model's."""
    file = hdf5.File(source)
    attributes = {SPLIT.sub(r"\1", name): value for name, value in file.root.attributes.items()}
    marks = [name for name in attributes if notes.marker("keras-h5", name)]
    weights = file.root
    if "model_weights" in file.root.members:
        weights = file.node(file.root.members["model_weights"])
        attributes |= {k: v for k, v in weights.attributes.items() if k not in attributes}
    if not marks and _newest(file):
        notes.mark("keras-h5", "layers", "layers, each with vars, without attributes")
        return
    if not marks and not ("layer_names" in weights.attributes or "layer_names0" in weights.attributes):
        _other_hdf5(file, notes)
        return
    version, backend = attributes.get("keras_version"), attributes.get("backend")
    if isinstance(version, str):
        say_version(notes, version, backend if isinstance(backend, str) else None)
    newer = _weight_names(file, weights, notes)
    if not isinstance(version, str) and not newer:
        oldest = "nb_layers" if "nb_layers" in attributes else "layer_names"
        config = attributes.get("model_config")
        mark = "model_config" if isinstance(config, str) else oldest
        notes.mark("keras-h5", mark, f"{mark} without keras_version")
    _config(attributes.get("model_config"), notes)
    if weights.dense or file.root.dense:
        notes.mark("keras-h5", "dense", "attributes or names in dense storage")


def _newest(file: hdf5.File) -> bool:
    """Is it the layout of Keras 3's weights: groups of layers that hold 'vars'?"""
    top = file.root.members.get("layers") or file.root.members.get("_layer_checkpoint_dependencies")
    if top is None or "vars" not in file.root.members:
        return False
    return any("vars" in file.node(at).members for at in list(file.node(top).members.values())[:8])


def _other_hdf5(file: hdf5.File, notes: Notes) -> None:
    """HDF5 that is not Keras's: the weights of Caffe, or no model that anything is known of."""
    data = file.root.members.get("data")
    if data is not None:
        layers = file.node(data)
        blobs = [file.node(at) for at in list(layers.members.values())[:8]] if layers.is_group else []
        if blobs and all(b.is_group and all(name.isdigit() for name in b.members) for b in blobs):
            notes.mark("caffe-h5", "data", f"data/{next(iter(layers.members))}")
            return
    if file.root.dense:
        raise NotThisFormatError("an HDF5 file whose names are stored densely, which envsolve does not read")
    names = ", ".join(list(file.root.members)[:4])
    raise NotThisFormatError(f"an HDF5 file without the marks of a model (it holds {printable(names) or 'nothing'})")


def say_version(notes: Notes, text: str, backend: str | None = None) -> None:
    """What a keras_version and a backend mean."""
    shown = f"keras_version {printable(text, 30)}" + (f", backend {printable(backend, 20)}" if backend else "")
    plain = text.removesuffix("-tf")
    try:
        version = Version(plain)
    except InvalidVersion:
        notes.mark("keras-h5", "odd-version", shown)
        return
    inside = [row.release for row in notes.facts.model_releases if row.keras == text]
    if plain != text or inside:
        notes.without = frozenset({"keras"})
    row = _version_row(notes, version) if plain == text else notes.marker("keras-version", "tf")
    if row is None:
        return
    made = {"keras": f"=={plain}"} if plain == text and not inside else _between(inside)
    means = row.means
    if inside:
        means += f"; written by the one of TensorFlow {' to '.join(dict.fromkeys((inside[0], inside[-1])))}"
    source = notes.facts.evidence(row).source
    notes.say(shown, means, row.strength, source, ranges=row.ranges, made_with=made)
    if backend and plain == text and not inside:
        notes.mark("keras-backend", backend, f"backend {backend}")


def _between(releases: list[str]) -> dict[str, str]:
    if not releases:
        return {}
    return {"tensorflow": f">={releases[0]},<={releases[-1]}.9999"}


def _version_row(notes: Notes, version: Version) -> Any:
    """The row of the greatest version up to this one with the same major number."""
    rows = notes.facts.model_markers.get("keras-version", {})
    known = [Version(m) for m in rows if m[:1].isdigit()]
    fitting = [v for v in known if v.major == version.major and v <= version]
    return rows.get(str(max(fitting))) if fitting else None


def _config(value: object, notes: Notes) -> None:
    if not isinstance(value, str):
        return
    try:
        config = json.loads(value)
    except (ValueError, RecursionError):
        notes.mark("keras-h5", "odd-config", "model_config is no JSON")
        return
    say_config(config, notes)


def nested(value: object) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value, itself included, without recursion."""
    todo, count = [value], 0
    while todo and count < _NODES:
        count += 1
        here = todo.pop()
        if isinstance(here, dict):
            yield here
            todo += here.values()
        elif isinstance(here, list):
            todo += here


def say_config(config: object, notes: Notes) -> bool:
    """What an architecture says: argument names of layers, data format, Lambda layers. False: it has no layers."""
    classes: set[str] = set()
    arguments: set[str] = set()
    layouts: set[str] = set()
    for part in nested(config):
        inner = part.get("config")
        if isinstance(part.get("class_name"), str) and isinstance(inner, dict | list):
            named = "{}" if isinstance(inner, dict) and isinstance(inner.get("layers"), list) else ""
            classes |= {part["class_name"], part["class_name"] + named}
        if isinstance(part.get("class_name"), str) and isinstance(inner, dict):
            arguments |= {key for key in inner if isinstance(key, str)}
            arguments |= {key for key in ("registered_name", "module") if key in part}
            layouts |= {str(inner[k]) for k in ("data_format", "dim_ordering") if isinstance(inner.get(k), str)}
            if part["class_name"] == "Lambda":
                _lambda(inner, notes)
    _grouped("keras-argument", sorted(arguments), notes)
    _grouped("keras-class", sorted(classes), notes)
    for layout in sorted(layouts):
        notes.mark("keras-layout", layout, layout)
    return bool(classes)


def _grouped(kind: str, names: list[str], notes: Notes) -> None:
    """Say each meaning once, with all the names that carry it."""
    rows = [(name, row) for name in names if (row := notes.marker(kind, name))]
    for means in dict.fromkeys(row.means for _, row in rows):
        mine = [name for name, row in rows if row.means == means]
        row = next(row for _, row in rows if row.means == means)
        source = notes.facts.evidence(row).source
        found = ", ".join(mine[:8])
        notes.say(found, means, row.strength, source, ranges=row.ranges, made_with=row.made_with, pythons=row.pythons)


def _lambda(config: dict[str, Any], notes: Notes) -> None:
    function = config.get("function")
    while isinstance(function, dict):
        function = function.get("config", {}).get("code") if isinstance(function.get("config"), dict) else None
    text = function[0] if isinstance(function, list) and function else function
    code = bytecode.raw_code(text) if isinstance(text, str) else None
    if code is None:
        return
    name = printable(config.get("name", ""), 40)
    notes.mark("bytecode", bytecode.form(code), f"Lambda layer {name} with marshalled bytecode")


def _weight_names(file: hdf5.File, weights: hdf5.Node, notes: Notes) -> bool:
    """The first weight name that tells Keras 1 from Keras 2; True: it is Keras 2's."""
    for address in list(weights.members.values())[:64]:
        group = file.node(address)
        names = group.attributes.get("weight_names") or group.attributes.get("weight_names0")
        if not isinstance(names, tuple):
            continue
        for name in names:
            last = name.partition(":")[0].rpartition("/")[2]
            mark = last if notes.marker("keras-weight", last) else last.rpartition("_")[2]
            if notes.mark("keras-weight", mark, f"weight {printable(name, 60)}"):
                row = notes.marker("keras-weight", mark)
                return bool(row and not row.made_with)
    return False


def read_json(source: Source, notes: Notes) -> None:
    """An architecture in JSON, as ``model.to_json()`` writes it."""
    try:
        config = json.loads(source.whole(16 << 20))
    except (ValueError, RecursionError) as error:
        raise NotThisFormatError from error
    if not isinstance(config, dict):
        raise NotThisFormatError
    if _oldest(config):
        notes.mark("keras-json", "layers", f"{len(config['layers'])} layers named beside their arguments")
        return
    if not isinstance(config.get("class_name"), str) or "config" not in config:
        raise NotThisFormatError
    version, backend = config.get("keras_version"), config.get("backend")
    if isinstance(version, str):
        say_version(notes, version, backend if isinstance(backend, str) else None)
    if not say_config(config, notes) or not notes.found:
        raise NotThisFormatError


def _oldest(config: dict[str, Any]) -> bool:
    """Is it the form of Keras 0: layers as objects with a name, arguments and whether they are trained?"""
    layers = config.get("layers")
    if not isinstance(config.get("name"), str) or not isinstance(layers, list) or not layers:
        return False
    return all(isinstance(x, dict) and "name" in x and ("trainable" in x or "cache_enabled" in x) for x in layers)


def read_keras_members(members: dict[str, bytes], notes: Notes) -> None:
    """The texts of a ``.keras`` file."""
    try:
        metadata, config = json.loads(members["metadata.json"]), json.loads(members.get("config.json", b"{}"))
    except (ValueError, RecursionError) as error:
        raise MalformedError("its metadata is no JSON") from error
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str):
        raise NotThisFormatError
    notes.mark("keras-zip", "metadata.json", "metadata.json and config.json")
    say_version(notes, version)
    say_config(config, notes)
