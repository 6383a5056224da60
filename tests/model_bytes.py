"""Small model files, made byte by byte after their formats, for the readers that no writer runs for here."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

DATA = Path(__file__).parent / "data" / "models"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx(ir: int = 3, opset: int = 7, producer: str = "pytorch", version: str = "0.4") -> bytes:
    node = field(1, "x") + field(2, "y") + field(4, "Relu")
    graph = field(1, node) + field(2, "g")
    return field(1, ir) + field(2, producer) + field(3, version) + field(7, graph) + field(8, field(2, opset))


def graph(*ops: str, producer: int | None = 24) -> bytes:
    nodes = b"".join(field(1, field(1, f"n{i}") + field(2, op)) for i, op in enumerate(ops))
    return nodes + (field(4, field(1, producer)) if producer is not None else b"")


def saved_model(version: str, *ops: str, producer: int = 24) -> bytes:
    meta = field(1, field(5, version)) + field(2, graph(*ops, producer=producer))
    return field(1, 1) + field(2, meta)


def caffemodel(generation: str) -> bytes:
    if generation == "layer":
        return field(1, "net") + field(100, field(1, "conv1") + field(2, "Convolution"))
    if generation == "layers":
        return field(1, "net") + field(2, field(2, "data") + field(4, "conv1") + field(5, 4))
    return field(1, "net") + field(2, field(1, field(1, "conv1") + field(2, "conv")))


def mxnet_params(mark: int) -> bytes:
    return struct.pack("<QQQI", 0x112, 0, 1, mark) + struct.pack("<I", 2) + bytes(32)


def mxnet_symbol(key: str, version: int | None = None) -> bytes:
    nodes = [{"op": "null", "name": "data", "inputs": []}, {"op": "Flatten", "name": "f", key: {}, "inputs": [[0, 0]]}]
    attributes = {"attrs": {"mxnet_version": ["int", version]}} if version else {}
    return json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0]], **attributes}).encode()


def t7(name: str = "nn.Sequential") -> bytes:
    return struct.pack("<ii", 4, 1) + b"\3\0\0\0V 1" + struct.pack("<i", len(name)) + name.encode() + bytes(16)


def tflite(runtime: str = "1.14.0", description: str = "MLIR Converted.") -> bytes:
    """A model table with version, description, one buffer and one metadata entry, laid out by hand."""
    out = bytearray(struct.pack("<I4s", 0, b"TFL3"))
    table_fields = 7
    out += struct.pack("<HH" + "H" * table_fields, 4 + 2 * table_fields, 24, 4, 0, 0, 8, 12, 0, 16) + b"\0\0"
    vtable = 8
    model = len(out)
    struct.pack_into("<I", out, 0, model)
    out += struct.pack("<iIIII", model - vtable, 3, 0, 0, 0) + bytes(4)

    def point(slot: int) -> None:
        struct.pack_into("<I", out, model + slot, len(out) - model - slot)

    def text(value: bytes) -> None:
        out.extend(struct.pack("<I", len(value)) + value + b"\0" * (4 - len(value) % 4))

    point(8)
    text(description.encode())
    point(12)
    out += struct.pack("<II", 1, 4 + 6 + 2)
    buffer_vtable = len(out)
    out += struct.pack("<HHH", 6, 8, 4) + b"\0\0"
    buffer = len(out)
    struct.pack_into("<I", out, buffer_vtable - 4, buffer - (buffer_vtable - 4))
    out += struct.pack("<iI", buffer - buffer_vtable, 4)
    text(runtime.encode())
    point(16)
    out += struct.pack("<I", 1)
    slot = len(out)
    out += bytes(4)
    entry_vtable = len(out)
    out += struct.pack("<HHHH", 8, 12, 4, 8)
    entry = len(out)
    struct.pack_into("<I", out, slot, entry - slot)
    out += struct.pack("<iII", entry - entry_vtable, 8, 0)
    text(b"min_runtime_version")
    return bytes(out)


def torch_zip(version: str = "3", script: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00.")
        archive.writestr("archive/version", version)
        if script:
            archive.writestr("archive/code/__torch__.py", "")
    return out.getvalue()


def keras_zip(version: str = "3.6.0") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-10-01"}))
        layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None}
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    return out.getvalue()


def torch_tar() -> bytes:
    out = bytearray()
    members = {"sys_info": b"\x80\x02}.", "pickle": b"\x80\x02ctorch._utils\n_rebuild_tensor\nq\x00."}
    for name, content in (members | {"storages": b"", "tensors": b""}).items():
        header = name.encode().ljust(100, b"\0") + b"0000644\0" + bytes(16) + b"%011o\0" % len(content) + bytes(12)
        header = header.ljust(156, b"\0") + b"0"
        out += header.ljust(257, b"\0") + b"ustar\x0000"
        out += bytes(-len(out) % 512) + content + bytes(-len(content) % 512)
    return bytes(out) + bytes(1024)


def samples() -> dict[str, bytes]:
    """A file of each format, by a name with its usual ending."""
    made = {
        "a.onnx": onnx(),
        "saved_model.pb": saved_model("1.4.1", "Placeholder", "VariableV2"),
        "graph.pb": graph("Placeholder", "MatMul"),
        "v2.caffemodel": caffemodel("layer"),
        "v1.caffemodel": caffemodel("layers"),
        "v0.caffemodel": caffemodel("layers-v0"),
        "a.params": mxnet_params(0xF993FAC9),
        "a-symbol.json": mxnet_symbol("attrs", 10300),
        "a.t7": t7(),
        "a.tflite": tflite(),
        "a.pt": torch_zip(),
        "a.keras": keras_zip(),
        "tar.pth": torch_tar(),
        "a.prototxt": b'name: "net"\nlayer {\n  name: "c"\n  type: "Convolution"\n}\n',
        "pointer.h5": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n",
    }
    return made | {path.name: path.read_bytes() for path in sorted(DATA.iterdir())}
