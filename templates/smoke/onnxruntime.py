# ---- ONNX Runtime ------------------------------------------------------------------------------------------


def onnx_field(number, value):
    """One field of a protocol buffer: a whole number, or text, bytes or a message with its length."""

    def varint(value):
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
        return bytes(out)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value if isinstance(value, bytes) else value.encode("utf-8")
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx_model(operation, *shapes):
    """A model of one operation on float inputs of these shapes, written by hand: no onnx package is needed."""

    def described(name, shape):
        sizes = b"".join(onnx_field(1, onnx_field(1, size)) for size in shape)
        tensor = onnx_field(1, 1) + (onnx_field(2, sizes) if shape else b"")
        return onnx_field(1, name) + onnx_field(2, onnx_field(1, tensor))

    names = ["given%d" % at for at in range(len(shapes))]
    node = b"".join(onnx_field(1, name) for name in names) + onnx_field(2, "result") + onnx_field(4, operation)
    graph = onnx_field(1, node) + onnx_field(2, "smoke")
    graph += b"".join(onnx_field(11, described(name, shape)) for name, shape in zip(names, shapes))
    graph += onnx_field(12, described("result", ()))
    return onnx_field(1, 3) + onnx_field(7, graph) + onnx_field(8, onnx_field(2, 7))


def onnx_session(ort, path, providers):
    """A session on these providers; releases before 1.3 take them afterwards, or not at all."""
    try:
        return ort.InferenceSession(path, providers=providers)
    except TypeError:
        session = ort.InferenceSession(path)
        if hasattr(session, "set_providers"):
            session.set_providers(providers)
        return session


def onnx_compute(probe, ort, what, operation, arrays):
    """run(device) for Probe.agree: a session on the provider of that device, and no other beside the CPU's."""
    path = os.path.join(probe.scratch, operation + ".onnx")
    with open(path, "wb") as stream:
        stream.write(onnx_model(operation, *[array.shape for array in arrays]))

    def run(device):
        session = onnx_session(ort, path, (["CUDAExecutionProvider"] if device == "gpu" else []) + ["CPUExecutionProvider"])
        if device == probe.want:
            given = session.get_providers()[0] if hasattr(session, "get_providers") else ort.get_device()
            probe.ran_on("onnxruntime", what, given)
        return session.run(None, dict((given.name, array) for given, array in zip(session.get_inputs(), arrays)))[0]

    return run


def onnx_matmul(probe, ort):
    a, b = matrices()
    run = onnx_compute(probe, ort, "matmul", "MatMul", [a, b])
    return probe.agree("matmul", product(a, b), probe.timed("onnxruntime", run))


def onnx_convolution(probe, ort):
    x, w = images()
    arrays = [x.transpose(0, 3, 1, 2).copy(), w.transpose(3, 2, 0, 1).copy()]
    run = onnx_compute(probe, ort, "convolution", "Conv", arrays)
    return probe.agree("convolution", correlate(x, w).transpose(0, 3, 1, 2), run)


def probe_onnxruntime(probe):
    """ONNX Runtime runs models, it trains none."""
    modules = []
    if not probe.check("onnxruntime import", lambda: modules.append(__import__("onnxruntime"))):
        return
    ort = modules[0]
    probe.check("onnxruntime version", check_version, probe, "onnxruntime", ort.__version__)
    probe.check("onnxruntime matmul", onnx_matmul, probe, ort)
    probe.check("onnxruntime convolution", onnx_convolution, probe, ort)
    probe.check("onnxruntime device", probe.check_device, "onnxruntime")
