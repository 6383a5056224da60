# ---- CNTK --------------------------------------------------------------------------------------------------


def cntk_compute(probe, cntk, what, build, shapes, arrays, sequence=False):
    """run(device) for Probe.agree: build(inputs) of these shapes, on these arrays."""
    make = cntk.sequence.input_variable if sequence else cntk.input_variable
    inputs = [make(shape) for shape in shapes]
    graph = build(*inputs)

    def run(device):
        import numpy as np

        place = cntk.device.gpu(0) if device == "gpu" else cntk.device.cpu()
        value = graph.eval(dict(zip(inputs, arrays)), device=place, as_numpy=False)
        if device == probe.want:
            cntk_seen(probe, cntk, what, value)
        return np.asarray(value.asarray() if not sequence else value.as_sequences(graph))

    return run


def cntk_seen(probe, cntk, what, value):
    """Remember where a value lies."""
    device = value.device() if callable(value.device) else value.device
    probe.ran_on("cntk", what, "cpu" if device.type() == cntk.device.DeviceKind.CPU else "gpu:%d" % device.id())


def cntk_matmul(probe, cntk):
    a, b = matrices()
    run = cntk_compute(probe, cntk, "matmul", lambda x: cntk.times(x, cntk.constant(b)), [a.shape[1:]], [a])
    return probe.agree("matmul", product(a, b), probe.timed("cntk", run))


def cntk_convolution(probe, cntk):
    x, w = images()
    x, kernel = x.transpose(0, 3, 1, 2).copy(), cntk.constant(w.transpose(3, 2, 0, 1).copy())

    def build(given):
        return cntk.convolution(kernel, given, strides=(1, 1), auto_padding=[False, False, False])

    run = cntk_compute(probe, cntk, "convolution", build, [x.shape[1:]], [x])
    return probe.agree("convolution", correlate(*images()).transpose(0, 3, 1, 2), run)


def cntk_norm(probe, cntk):
    """Batch norm with the statistics that a model carries: what a loaded model predicts by."""
    x, scale, shift = channels()
    means, spreads = x.reshape(-1, 3).mean(0), x.reshape(-1, 3).var(0)
    constants = [cntk.constant(value.astype("float32")) for value in (scale, shift, means, spreads)]
    images = x.transpose(0, 3, 1, 2).copy()

    def build(given):
        count = cntk.constant(0.0)
        return cntk.batch_normalization(
            given, *constants, spatial=True, epsilon=EPSILON, use_cudnn_engine=False, running_count=count
        )

    run = cntk_compute(probe, cntk, "batch norm", build, [images.shape[1:]], [images])
    return probe.agree("batch norm", normalized(x, scale, shift).transpose(0, 3, 1, 2), run)


def cntk_cell(probe, cntk):
    """A simple recurrent layer, of the operations that CNTK makes recurrence of."""
    x, w, u, b = sequences(1)
    w_, u_, b_ = (cntk.constant(value) for value in (w, u, b))

    def build(given):
        state = cntk.placeholder(shape=(6,))
        result = cntk.tanh(cntk.times(given, w_) + cntk.times(cntk.sequence.past_value(state), u_) + b_)
        return result.replace_placeholders({state: result.output})

    run = cntk_compute(probe, cntk, "recurrent layer", build, [x.shape[2:]], [list(x)], sequence=True)
    return probe.agree("recurrent layer", recur(x, w, u, b), run)


def cntk_network(cntk, start, x):
    """The tanh-softmax network with these weights: (parameters, inputs, labels, scores, loss)."""
    weights = [cntk.parameter(init=value) for value in start]
    given, labels = cntk.input_variable(x.shape[1:]), cntk.input_variable((3,))
    hidden = cntk.tanh(cntk.times(given, weights[0]) + weights[1])
    scores = cntk.times(hidden, weights[2]) + weights[3]
    return weights, given, labels, scores, cntk.cross_entropy_with_softmax(scores, labels)


def cntk_training(probe, cntk):
    start, x, y = network(2)
    weights, given, labels, scores, loss = cntk_network(cntk, start, x)
    if hasattr(cntk, "learning_parameter_schedule_per_sample"):
        rate = cntk.learning_parameter_schedule_per_sample(RATE / len(x))
    else:
        rate = cntk.learning_rate_schedule(RATE / len(x), cntk.UnitType.sample)
    trainer = cntk.Trainer(scores, (loss, None), [cntk.sgd(scores.parameters, rate)])
    trainer.train_minibatch({given: x, labels: y})
    changes = [weight.value - old for weight, old in zip(weights, start)]
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], "weights after a training step")


def cntk_save_load(probe, cntk):
    start, x, _ = network(2)
    _, given, _, scores, _ = cntk_network(cntk, start, x)
    path = os.path.join(probe.scratch, "model.cntk")
    scores.save(path)
    loaded = cntk.Function.load(path) if hasattr(cntk, "Function") else cntk.load_model(path)
    got = loaded.eval({loaded.arguments[0]: x})
    return compare(got, scores.eval({given: x}), 1e-6, "predictions after loading", "the saved model's")


def probe_cntk(probe):
    """CNTK 2."""
    modules = []
    if not probe.check("cntk import", lambda: modules.append(__import__("cntk"))):
        return
    cntk = modules[0]
    probe.check("cntk version", check_version, probe, "cntk", cntk.__version__)
    place = cntk.device.gpu(0) if probe.want == "gpu" else cntk.device.cpu()
    if not probe.check("cntk default device", lambda: cntk.device.try_set_default_device(place) and str(place)):
        return
    probe.check("cntk matmul", cntk_matmul, probe, cntk)
    probe.check("cntk convolution", cntk_convolution, probe, cntk)
    probe.check("cntk batch norm", cntk_norm, probe, cntk)
    probe.check("cntk recurrent layer", cntk_cell, probe, cntk)
    probe.check("cntk training step", cntk_training, probe, cntk)
    probe.check("cntk save and load", cntk_save_load, probe, cntk)
    probe.check("cntk device", probe.check_device, "cntk")
