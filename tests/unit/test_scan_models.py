"""Model files: what each reader finds in files of real writers and in files made after the formats."""

from __future__ import annotations

import base64
import json
import pickle
import struct
import time
import zipfile
from pathlib import Path

import model_bytes as made
import pytest
from packaging.specifiers import SpecifierSet

from envsolve.matrices import Facts, load
from envsolve.scan.evidence import Evidence
from envsolve.scan.models import bytecode, looks_like_model, read_model, snappy
from envsolve.scan.models.source import LimitError, MalformedError


@pytest.fixture(scope="module")
def facts() -> Facts:
    return load()


@pytest.fixture
def read(tmp_path: Path, facts: Facts):
    def _read(name: str, content: bytes | None = None) -> list[Evidence]:
        path = made.DATA / name
        if content is not None:
            path = tmp_path / name
            path.write_bytes(content)
        return read_model(path, facts)

    return _read


def total(found: list[Evidence], attribute: str = "ranges") -> dict[str, SpecifierSet]:
    sets: dict[str, SpecifierSet] = {}
    for item in found:
        for name, text in getattr(item, attribute).items():
            sets[name] = sets.get(name, SpecifierSet()) & SpecifierSet(text)
    return sets


def pythons(found: list[Evidence]) -> SpecifierSet:
    return SpecifierSet(",".join(item.pythons for item in found if item.pythons))


REAL = {  # file: (package, releases that load it, releases that do not, release that wrote it)
    "keras1.2.2-theano-lambda.h5": ("keras", ("1.2.2", "2.0.8", "2.3.1"), ("3.0.0",), "1.2.2"),
    "keras1.2.2-theano-weights.h5": ("keras", ("1.0.0", "1.2.2", "2.0.8"), ("0.3.3",), "1.1.0"),
    "keras1.2.2-theano.json": ("keras", ("1.2.2", "2.0.8"), ("3.0.0",), "1.2.2"),
    "keras2.0.8-theano.h5": ("keras", ("2.0.8", "2.3.1"), ("1.2.2",), "2.0.8"),
    "keras2.3.1-theano-lambda.h5": ("keras", ("2.3.1",), ("1.2.2", "2.0.8", "2.2.2"), "2.3.1"),
    "keras0.3.3-weights.h5": ("keras", ("0.3.3",), ("1.0.0", "2.0.8"), "0.3.3"),
    "keras0.3.3.json": ("keras", ("0.3.3",), ("1.0.0",), "0.3.3"),
    "keras1.0.0-weights.h5": ("keras", ("1.0.0", "2.0.8"), ("0.3.3",), "1.0.0"),
    "mxnet0.10.0.params": ("mxnet", ("0.9.5", "0.11.0", "1.0.0"), (), "0.10.0"),
    "mxnet0.11.0.params": ("mxnet", ("0.11.0", "1.0.0"), ("0.9.5",), "0.11.0"),
    "mxnet0.12.0-symbol.json": ("mxnet", ("0.9.5", "0.11.0", "1.0.0"), (), "0.12.0"),
    "mxnet1.0.0-symbol.json": ("mxnet", ("1.0.0", "1.6.0"), ("0.9.5", "0.11.0", "0.12.0"), "1.0.0"),
    "mxnet1.6.0.params": ("mxnet", ("0.12.0", "1.0.0"), ("0.9.5", "0.11.0"), None),
    "keras3.6.keras": ("keras", ("3.6.0",), ("2.3.1",), "3.6.0"),
    "keras3.6-legacy.h5": ("keras", ("3.6.0",), ("2.15.0",), "3.6.0"),
    "keras3.6.weights.h5": ("keras", ("3.6.0",), ("2.3.1",), None),
    "tfkeras14.h5": ("tensorflow", ("1.4.1",), ("1.3.0",), "1.4.1"),
    "tf14-saved_model.pb": ("tensorflow", ("1.0.0", "1.4.1"), ("0.12.1",), "1.4.1"),
    "tf14-v2.ckpt.meta": ("tensorflow", ("1.0.0", "1.15.0"), ("0.12.1",), "1.4.1"),
    "tf14-graph.pb": ("tensorflow", ("1.0.0", "1.4.1"), ("0.12.1",), "1.4.1"),
    "tf14-v2.ckpt.index": ("tensorflow", ("1.2.0", "1.4.1"), ("0.11.0", "1.1.0"), None),
    "tf14-v2.ckpt.data-00000-of-00001": ("tensorflow", ("0.12.0",), ("0.11.0",), None),
    "tf14-v1.ckpt": ("tensorflow", ("1.4.1",), ("1.1.0",), None),
    "tf14-frozen.pb": ("tensorflow", ("1.4.1",), (), None),
    "torch100-state.pth": ("torch", ("0.4.1", "1.0.0", "2.1.0"), ("0.3.1", "0.4.0"), "1.0.0"),
    "torch100-script.pt": ("torch", ("1.0.0",), ("0.4.1",), "1.0.0"),
    "chainer5.npz": ("chainer", ("5.4.0",), (), None),
    "joblib014.pkl": ("joblib", ("0.14.1",), (), None),
    "joblib014-z.pkl": ("joblib", ("0.14.1",), (), None),
    "named.npz": ("numpy", ("1.16.2",), ("1.16.3",), None),
    "h5py3-latest.h5": ("tensorflow", ("1.9.0",), ("1.3.0",), "1.12.0"),
    "h5py3-earliest.h5": ("tensorflow", ("1.9.0",), ("1.3.0",), "1.10.0"),
}


@pytest.mark.parametrize("name", REAL)
def test_a_file_of_a_real_writer(name: str, read) -> None:
    package, good, bad, writer = REAL[name]
    found = read(name)
    ranges = total(found)
    assert all(ranges[package].contains(version) for version in good)
    assert not any(ranges[package].contains(version) for version in bad)
    if writer:
        assert total(found, "made_with")[package].contains(writer)


def test_a_lambda_layer_fixes_the_python(read) -> None:
    assert pythons(read("keras1.2.2-theano-lambda.h5")).contains("3.6")
    assert not pythons(read("keras1.2.2-theano-lambda.h5")).contains("2.7")
    assert not pythons(read("keras2.0.8-theano.h5"))


CODES = dict(line.split() for line in (made.DATA.parent / "bytecode.txt").read_text().splitlines())
"""``lambda x: x*2``, marshalled by each Python."""


@pytest.mark.parametrize("version", CODES)
def test_bytecode_tells_its_python(version: str, facts: Facts) -> None:
    code = bytecode.raw_code(CODES[version])
    assert code is not None
    allowed = SpecifierSet(facts.model_markers["bytecode"][bytecode.form(code)].pythons)
    minor = ".".join(version.split(".")[:2])
    others = {"2.7", "3.6", "3.9", "3.12"} - {minor}
    assert allowed.contains(minor)
    assert not all(allowed.contains(other) for other in others)
    assert bytecode.raw_code(base64.b64decode(CODES[version]).decode("raw_unicode_escape")) == code


def test_text_that_is_no_bytecode() -> None:
    assert bytecode.raw_code("relu") is None
    assert bytecode.form(b"c" + bytes(64)) == "other"


@pytest.mark.parametrize(
    ("ops", "producer", "good", "bad"),
    [
        (("Placeholder", "VariableV2"), 24, ("1.0.0", "2.1.0"), ("0.12.1",)),
        (("Placeholder", "AddV2"), 27, ("1.5.0",), ("1.4.1",)),
        (("Placeholder", "MatMul"), 9, ("0.8.0", "2.1.0"), ()),
        (("Placeholder", "BigQueryReader"), 24, ("1.4.1", "1.15.0"), ("2.0.0",)),
    ],
)
def test_operations_date_a_graph(ops, producer, good, bad, read) -> None:
    ranges = total(read("graph.pb", made.graph(*ops, producer=producer)))["tensorflow"]
    assert all(ranges.contains(version) for version in good)
    assert not any(ranges.contains(version) for version in bad)


@pytest.mark.parametrize(
    ("producer", "good", "bad"),
    [
        (9, "0.8.0", "0.9.0"),
        (22, "1.2.1", "1.3.0"),
        (24, "1.4.1", "1.6.0"),
        (134, "1.15.0", "2.0.0"),
        (9000, "2.21", "2.1"),
    ],
)
def test_the_producer_dates_a_graph(producer: int, good: str, bad: str, read) -> None:
    wrote = total(read("graph.pb", made.graph("Placeholder", producer=producer)), "made_with")["tensorflow"]
    assert wrote.contains(good)
    assert not wrote.contains(bad)


@pytest.mark.parametrize(
    ("name", "content", "package", "good", "bad"),
    [
        ("a.onnx", made.onnx(ir=3), "onnx", "1.0", None),
        ("a.onnx", made.onnx(ir=6, opset=11), "onnx", "1.6", "1.5"),
        ("a.caffemodel", made.caffemodel("layer"), "caffe", "1.0", None),
        ("a.caffemodel", made.caffemodel("layers"), "caffe", "1.0", None),
        ("a.caffemodel", made.caffemodel("layers-v0"), "caffe", "1.0", None),
        ("a.params", made.mxnet_params(0xF993FAC9), "mxnet", "1.3.0", "0.11.0"),
        ("a.params", made.mxnet_params(4), "mxnet", "0.7.0", None),
        ("a-symbol.json", made.mxnet_symbol("attrs", 10300), "mxnet", "1.3.0", "0.9.5"),
        ("a-symbol.json", made.mxnet_symbol("param"), "mxnet", "0.7.0", None),
        ("a.t7", made.t7(), "torch7", "7", None),
        ("a.tflite", made.tflite(), "tensorflow", "1.14.0", "1.13.1"),
        ("a.pt", made.torch_zip(), "torch", "1.6.0", "1.5.1"),
        ("a.pt", made.torch_zip("7", script=True), "torch", "1.10", "1.9.1"),
        ("a.pth", made.torch_tar(), "torch", "0.1.12", None),
        ("a.keras", made.keras_zip(), "keras", "3.6.0", "2.15.0"),
        ("a.prototxt", made.samples()["a.prototxt"], "caffe", "1.0", None),
    ],
)
def test_a_file_made_after_its_format(name, content, package, good, bad, read) -> None:
    ranges = total(read(name, content))
    assert ranges[package].contains(good)
    assert bad is None or not ranges[package].contains(bad)


def test_who_exported_an_onnx_model(read) -> None:
    assert total(read("a.onnx", made.onnx(producer="pytorch", version="0.4.1")), "made_with")["torch"].contains("0.4.1")


def test_mxnet_states_its_version(read) -> None:
    assert total(read("a-symbol.json", made.mxnet_symbol("attrs", 10300)), "made_with")["mxnet"].contains("1.3.0")


class _Loud:
    def __reduce__(self):
        return (Path.touch, (Path("loaded"),))


def test_a_pickle_is_never_loaded(tmp_path: Path, monkeypatch, read) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"a": _Loud()}, protocol=4)
    assert read("a.pkl", content)
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("py2-p0.pkl", "2.7", "3.6"),
        ("py2-p2.pkl", "2.7", "3.6"),
        ("py2.pkl.gz", "2.7", "3.6"),
        ("p4.pkl", "3.6", "2.7"),
    ],
)
def test_a_pickle_tells_its_python(name: str, good: str, bad: str, read) -> None:
    allowed = pythons(read(name))
    assert allowed.contains(good)
    assert not allowed.contains(bad)
    assert not pythons(read("py2-ascii.pkl"))


@pytest.mark.parametrize(
    ("globals_", "package", "good", "bad"),
    [
        (b"ctheano.sandbox.cuda.var\nCudaNdarraySharedVariable\n", "theano", "0.8.2", "1.0.0"),
        (b"ctheano.gpuarray.type\nGpuArray_unpickler\n", "theano", "0.9.0", "0.8.2"),
        (b"clasagne.layers.conv\nConv2DLayer\n", "lasagne", "0.1", None),
        (b"csklearn.externals.joblib.numpy_pickle\nNDArrayWrapper\n", "scikit-learn", "0.18", "0.23"),
        (b"csklearn.linear_model.logistic\nLogisticRegression\n", "scikit-learn", "0.20", "0.24"),
    ],
)
def test_the_names_of_a_pickle(globals_: bytes, package: str, good: str, bad: str | None, read) -> None:
    ranges = total(read("a.pkl", b"\x80\x02" + globals_ + b"q\x00."))
    assert ranges[package].contains(good)
    assert bad is None or not ranges[package].contains(bad)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.h5", None),
        ("a.zip", "zip"),
        ("a.pb", b"\x08\x96\x01\x12\x07testing"),
        ("a.pb", bytes(range(256))),
        ("a.bin", b"\x00" * 4096),
        ("a.json", b'{"nodes": []}'),
        ("a.pkl", b""),
        ("a.model", b"hello world"),
    ],
)
def test_what_is_no_model_is_claimed_by_nobody(name: str, content, read, tmp_path: Path) -> None:
    if content == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("readme.txt", "data.pkl")
        content = (tmp_path / "a.zip").read_bytes()
    found = read("chainer5.h5") if content is None else read(name, content)
    assert [item.found.partition(":")[0] for item in found] == ["unknown"]
    assert not total(found)
    assert not total(found, "made_with")


CUTS = {
    "keras2.0.8-theano.h5": 4000,
    "torch100-state.pth": 200,
    "a.tflite": 60,
    "a.pt": 40,
    "a.onnx": 30,
    "p4.pkl": 150,
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_off_file_is_one_line(name: str, read) -> None:
    _one_line(read(name, made.samples()[name][: CUTS[name]]))


def test_a_broken_table_is_one_line(read) -> None:
    content = made.samples()["tf14-v2.ckpt.index"]
    _one_line(read("a.index", content[:-48] + b"\xff" * 40 + content[-8:]))


def _one_line(found: list[Evidence]) -> None:
    assert len(found) == 1
    assert found[0].found.startswith("cannot be read as")
    assert "\n" not in found[0].found


def test_a_pointer_of_git_lfs(read) -> None:
    found = read("pointer.h5", made.samples()["pointer.h5"])
    assert "123" in found[0].found
    assert not total(found)


def test_a_file_that_is_not_there(facts: Facts, tmp_path: Path) -> None:
    found = read_model(tmp_path / "none.h5", facts)
    assert len(found) == 1
    assert found[0].found.startswith("cannot be read")


def test_looks(tmp_path: Path) -> None:
    for name, content in made.samples().items():
        path = tmp_path / name
        path.write_bytes(content)
        assert looks_like_model(path), name
    for name, content in {"a.py": b"import keras\n", "a.txt": b"model", "b.json": b'{"a": 1}'}.items():
        (tmp_path / name).write_bytes(content)
        assert not looks_like_model(tmp_path / name), name
    assert not looks_like_model(tmp_path / "missing.h5")


def test_weights_of_tf_keras_say_nothing_of_keras(read) -> None:
    assert "keras" not in total(read("tfkeras14.h5"))


def test_a_graph_as_text(read) -> None:
    text = b'node {\n  name: "x"\n  op: "VariableV2"\n}\nversions {\n  producer: 24\n}\n'
    found = read("graph.pbtxt", text)
    assert not total(found)["tensorflow"].contains("0.12.1")
    assert total(found, "made_with")["tensorflow"].contains("1.4.1")


def test_a_graph_of_too_many_nodes_counts_as_far_as_it_was_read(read) -> None:
    found = read("graph.pb", made.graph("VariableV2", *["Const"] * 80_000))
    assert not total(found)["tensorflow"].contains("0.12.1")
    assert any(item.found.startswith("not read to its end") for item in found)


def test_many_opcodes_end_in_time(read) -> None:
    start = time.perf_counter()
    found = read("big.pkl", b"\x80\x02ctheano.gpuarray.type\nx\n" + b"K\x01" * 2_000_000 + b".")
    assert time.perf_counter() - start < 10
    assert "theano" in total(found)


def test_a_deep_json_is_no_crash(read) -> None:
    assert read("a.json", b"[" * 100_000)
    assert read("a.json", b'{"class_name": "Model", "config": ' + b"[" * 100_000)


def test_hdf5_that_points_at_itself(read) -> None:
    content = bytearray((made.DATA / "keras2.0.8-theano.h5").read_bytes())
    tree = content.index(b"TREE")
    struct.pack_into("<Q", content, tree + 32, tree)
    start = time.perf_counter()
    assert read("a.h5", bytes(content))
    assert time.perf_counter() - start < 5


def test_snappy() -> None:
    assert snappy.unpack(b"\x05\x10abcde", 100) == b"abcde"
    assert snappy.unpack(b"\x08\x04ab\x16\x02\x00", 100) == b"abababab"
    with pytest.raises(LimitError):
        snappy.unpack(b"\xff\xff\x7f\x00", 100)
    with pytest.raises(MalformedError):
        snappy.unpack(b"\x08\x04ab\x16\x09\x00", 100)


def test_evidence_says_where_it_is_from(read) -> None:
    for name, content in made.samples().items():
        for item in read(name, content):
            assert item.file == name
            assert item.source
            assert json.loads(item.model_dump_json())["found"]
            for text in (*item.ranges.values(), *item.made_with.values(), item.pythons):
                SpecifierSet(text)
