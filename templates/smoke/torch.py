# ---- PyTorch -----------------------------------------------------------------------------------------------


def torch_device(probe, torch):
    """The device under test, after a word about the GPU where one is expected."""
    if probe.want == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise Wrong("solved for the gpu, but torch.cuda.is_available() is False")
    return "cuda"


def torch_seen(probe, what, tensor):
    """Remember where a tensor lies, and give it to NumPy."""
    probe.ran_on("torch", what, "cuda" if tensor.is_cuda else "cpu")
    return tensor.detach().cpu().numpy()


def torch_compute(probe, torch, what, build, arrays):
    """run(device) for Probe.agree: build(tensors) there."""

    def run(device):
        place = torch_device(probe, torch) if device == probe.want else "cpu"
        with torch.no_grad():
            result = build([torch.from_numpy(array.copy()).to(place) for array in arrays])
        return torch_seen(probe, what, result) if device == probe.want else result.numpy()

    return run


def torch_matmul(probe, torch):
    a, b = matrices()
    run = torch_compute(probe, torch, "matmul", lambda given: given[0].matmul(given[1]), [a, b])
    return probe.agree("matmul", product(a, b), probe.timed("torch", run))


def torch_convolution(probe, torch):
    x, w = images()
    arrays = [x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)]
    run = torch_compute(probe, torch, "convolution", lambda given: torch.nn.functional.conv2d(*given), arrays)
    return probe.agree("convolution", correlate(x, w).transpose(0, 3, 1, 2), run)


def torch_norm(probe, torch):
    x, scale, shift = channels()
    norm = torch.nn.functional.batch_norm
    run = torch_compute(
        probe, torch, "batch norm",
        lambda given: norm(given[0], None, None, given[1], given[2], training=True, eps=EPSILON),
        [x.transpose(0, 3, 1, 2), scale, shift],
    )  # fmt: skip
    return probe.agree("batch norm", normalized(x, scale, shift).transpose(0, 3, 1, 2), run)


def torch_cell(probe, torch):
    """An LSTM layer: cuDNN's on a GPU."""
    x, w, u, b = sequences(4)

    def build(given):
        layer = torch.nn.LSTM(5, 6, batch_first=True)
        values = {"weight_ih_l0": w.T, "weight_hh_l0": u.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b}
        layer.load_state_dict(dict((name, torch.from_numpy(value.copy())) for name, value in values.items()))
        return layer.to(given[0].device)(given[0])[0]

    return probe.agree("LSTM", lstm(x, w, u, b, "ifgo"), torch_compute(probe, torch, "LSTM", build, [x]))


def torch_training(probe, torch):
    start, x, y = network(2)

    def run(device):
        place = torch_device(probe, torch) if device == probe.want else "cpu"
        weights = [torch.from_numpy(w.copy()).to(place).requires_grad_() for w in start]
        batch, labels = torch.from_numpy(x).to(place), torch.from_numpy(y.argmax(1)).to(place)
        optimizer = torch.optim.SGD(weights, lr=RATE)
        scores = torch.tanh(batch.matmul(weights[0]) + weights[1]).matmul(weights[2]) + weights[3]
        torch.nn.functional.cross_entropy(scores, labels).backward()
        optimizer.step()
        if device == probe.want:
            torch_seen(probe, "training step", weights[0])
        return [w.detach().cpu().numpy() - old for w, old in zip(weights, start)]

    return probe.agree("weights after a training step", descend(start, x, y), run, STEP_TOLERANCE)


def torch_save_load(probe, torch):
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    path = os.path.join(probe.scratch, "model.pt")
    torch.save(model.state_dict(), path)
    copy = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    copy.load_state_dict(torch.load(path))
    x = torch.from_numpy(network(2)[1])
    if not bool((model(x) == copy(x)).all()):
        raise Wrong("a loaded model predicts otherwise than the saved one")
    return "%d bytes; predictions after loading are equal" % os.path.getsize(path)


def torch_describe(probe, torch):
    """The device check, with the GPU's name and capability."""
    detail = probe.check_device("torch")
    if probe.want == "gpu":
        detail += "; %s, capability %d.%d" % ((torch.cuda.get_device_name(0),) + torch.cuda.get_device_capability(0))
    return detail


def probe_torch(probe):
    """PyTorch 0.4 and newer."""
    modules = []
    if not probe.check("torch import", lambda: modules.append(__import__("torch"))):
        return
    torch = modules[0]
    torch.manual_seed(0)
    probe.check("torch version", check_version, probe, "torch", torch.__version__)
    probe.check("torch matmul", torch_matmul, probe, torch)
    probe.check("torch convolution", torch_convolution, probe, torch)
    probe.check("torch batch norm", torch_norm, probe, torch)
    probe.check("torch LSTM", torch_cell, probe, torch)
    probe.check("torch training step", torch_training, probe, torch)
    probe.check("torch save and load", torch_save_load, probe, torch)
    probe.check("torch device", torch_describe, probe, torch)
