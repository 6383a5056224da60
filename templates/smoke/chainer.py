# ---- Chainer -----------------------------------------------------------------------------------------------


def chainer_compute(probe, chainer, what, build, arrays):
    """run(device) for Probe.agree: build(variables) on NumPy's or CuPy's arrays."""

    def run(device):
        place = chainer.cuda.to_gpu if device == "gpu" else lambda array: array
        result = build([chainer.Variable(place(array.copy())) for array in arrays]).data
        if device == probe.want:
            chainer_seen(probe, what, result)
        return chainer.cuda.to_cpu(result)

    return run


def chainer_seen(probe, what, array):
    """Remember where an array lies."""
    import numpy as np

    probe.ran_on("chainer", what, "cpu" if isinstance(array, np.ndarray) else "gpu:%s" % array.device.id)


def chainer_matmul(probe, chainer):
    a, b = matrices()
    run = chainer_compute(probe, chainer, "matmul", lambda given: chainer.functions.matmul(*given), [a, b])
    return probe.agree("matmul", product(a, b), probe.timed("chainer", run))


def chainer_convolution(probe, chainer):
    x, w = images()
    arrays = [x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)]
    run = chainer_compute(probe, chainer, "convolution", lambda given: chainer.functions.convolution_2d(*given), arrays)
    return probe.agree("convolution", correlate(x, w).transpose(0, 3, 1, 2), run)


def chainer_norm(probe, chainer):
    x, scale, shift = channels()
    norm = chainer.functions.batch_normalization
    arrays = [x.transpose(0, 3, 1, 2), scale, shift]
    run = chainer_compute(probe, chainer, "batch norm", lambda given: norm(*given, eps=EPSILON), arrays)
    return probe.agree("batch norm", normalized(x, scale, shift).transpose(0, 3, 1, 2), run)


def chainer_cell(probe, chainer):
    """The LSTM function, step by step: its gates lie interleaved, unit by unit."""
    import numpy as np

    x, w, u, b = sequences(4)
    mixed = [np.stack(np.split(weight, 4, -1), -1).reshape(weight.shape) for weight in (w, u, b)]
    functions = chainer.functions

    def build(given):
        steps, (w, u, b) = given[:-5], given[-5:-2]
        cell, hidden, states = given[-2], given[-1], []
        for step in steps:
            both = functions.matmul(step, w) + functions.matmul(hidden, u)
            cell, hidden = functions.lstm(cell, functions.bias(both, b, axis=1))
            states.append(functions.reshape(hidden, (len(x), 1, 6)))
        return functions.concat(states, axis=1)

    empty = np.zeros((len(x), 6), "float32")
    arrays = [x[:, step] for step in range(x.shape[1])] + mixed + [empty, empty]
    return probe.agree("LSTM", lstm(x, w, u, b, "gifo"), chainer_compute(probe, chainer, "LSTM", build, arrays))


def chainer_network(chainer, weights):
    """The tanh-softmax network as a chain with these weights."""
    chain = chainer.Chain(one=chainer.links.Linear(6, 8), two=chainer.links.Linear(8, 3))
    for link, weight, bias in ((chain.one, weights[0], weights[1]), (chain.two, weights[2], weights[3])):
        link.W.data[...], link.b.data[...] = weight.T, bias
    return chain


def chainer_training(probe, chainer):
    start, x, y = network(2)
    functions = chainer.functions

    def run(device):
        chain, batch, labels = chainer_network(chainer, start), x, y.argmax(1).astype("int32")
        if device == "gpu":
            chain.to_gpu()
            batch, labels = chainer.cuda.to_gpu(batch), chainer.cuda.to_gpu(labels)
        optimizer = chainer.optimizers.SGD(lr=RATE)
        optimizer.setup(chain)
        scores = chain.two(functions.tanh(chain.one(chainer.Variable(batch))))
        (chain.cleargrads if hasattr(chain, "cleargrads") else chain.zerograds)()
        functions.softmax_cross_entropy(scores, chainer.Variable(labels)).backward()
        optimizer.update()
        if device == probe.want:
            chainer_seen(probe, "training step", chain.one.W.data)
        after = [chain.one.W.data.T, chain.one.b.data, chain.two.W.data.T, chain.two.b.data]
        return [chainer.cuda.to_cpu(new) - old for new, old in zip(after, start)]

    return probe.agree("weights after a training step", descend(start, x, y), run, STEP_TOLERANCE)


def chainer_save_load(probe, chainer):
    start, _, _ = network(2)
    path = os.path.join(probe.scratch, "model.npz")
    chainer.serializers.save_npz(path, chainer_network(chainer, start))
    loaded = chainer_network(chainer, [0 * weight for weight in start])
    chainer.serializers.load_npz(path, loaded)
    got = [loaded.one.W.data.T, loaded.one.b.data, loaded.two.W.data.T, loaded.two.b.data]
    return compare(got, start, 1e-7, "weights after loading %d bytes" % os.path.getsize(path), "the saved model's")


def chainer_import():
    """Chainer with the submodules that the checks use."""
    import chainer
    import chainer.functions
    import chainer.links
    import chainer.optimizers
    import chainer.serializers

    return chainer


def probe_chainer(probe):
    """Chainer, and on a GPU CuPy under it."""
    modules = []
    if not probe.check("chainer import", lambda: modules.append(chainer_import())):
        return
    chainer = modules[0]
    probe.check("chainer version", check_version, probe, "chainer", chainer.__version__)
    probe.check("chainer matmul", chainer_matmul, probe, chainer)
    probe.check("chainer convolution", chainer_convolution, probe, chainer)
    probe.check("chainer batch norm", chainer_norm, probe, chainer)
    probe.check("chainer LSTM", chainer_cell, probe, chainer)
    probe.check("chainer training step", chainer_training, probe, chainer)
    probe.check("chainer save and load", chainer_save_load, probe, chainer)
    probe.check("chainer device", probe.check_device, "chainer")
