# ---- MXNet -------------------------------------------------------------------------------------------------


def mxnet_context(probe, mx, device):
    """The context of a device."""
    return mx.gpu(0) if device == "gpu" else mx.cpu()


def mxnet_compute(probe, mx, what, build, arrays, training=False):
    """run(device) for Probe.agree: the symbol build(variables), bound there and run forward."""

    def run(device):
        context = mxnet_context(probe, mx, device)
        names = ["given%d" % at for at in range(len(arrays))]
        symbol = build([mx.sym.Variable(name) for name in names])
        values = dict((name, mx.nd.array(array, ctx=context)) for name, array in zip(names, arrays))
        shapes = symbol.infer_shape(**dict((name, array.shape) for name, array in zip(names, arrays)))[2]
        states = dict(zip(symbol.list_auxiliary_states(), (mx.nd.zeros(shape, ctx=context) for shape in shapes)))
        result = symbol.bind(context, values, aux_states=states).forward(is_train=training)[0]
        if device == probe.want:
            probe.ran_on("mxnet", what, str(result.context))
        return result.asnumpy()

    return run


def mxnet_matmul(probe, mx):
    a, b = matrices()

    def run(device):
        context = mxnet_context(probe, mx, device)
        result = mx.nd.dot(mx.nd.array(a, ctx=context), mx.nd.array(b, ctx=context))
        if device == probe.want:
            probe.ran_on("mxnet", "matmul", str(result.context))
        return result.asnumpy()

    return probe.agree("matmul", product(a, b), probe.timed("mxnet", run))


def mxnet_convolution(probe, mx):
    x, w = images()

    def build(given):
        return mx.sym.Convolution(data=given[0], weight=given[1], no_bias=True, kernel=(3, 3), num_filter=5)

    run = mxnet_compute(probe, mx, "convolution", build, [x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)])
    return probe.agree("convolution", correlate(x, w).transpose(0, 3, 1, 2), run)


def mxnet_norm(probe, mx):
    x, scale, shift = channels()

    def build(given):
        return mx.sym.BatchNorm(data=given[0], gamma=given[1], beta=given[2], fix_gamma=False, eps=EPSILON)

    run = mxnet_compute(probe, mx, "batch norm", build, [x.transpose(0, 3, 1, 2), scale, shift], training=True)
    return probe.agree("batch norm", normalized(x, scale, shift).transpose(0, 3, 1, 2), run)


def mxnet_cell(probe, mx):
    """An LSTM cell, unrolled over time with its states given."""
    x, w, u, b = sequences(4)

    def build(given):
        params = mx.rnn.RNNParams("cell_")
        params._params.update(zip(("cell_i2h_weight", "cell_i2h_bias", "cell_h2h_weight", "cell_h2h_bias"), given[1:5]))
        cell = mx.rnn.LSTMCell(6, prefix="cell_", params=params)
        return cell.unroll(x.shape[1], given[0], begin_state=given[5:], layout="NTC", merge_outputs=True)[0]

    import numpy as np

    states = [np.zeros((len(x), 6), "float32")] * 2
    run = mxnet_compute(probe, mx, "LSTM", build, [x, w.T, b, u.T, 0 * b] + states)
    return probe.agree("LSTM", lstm(x, w, u, b, "ifgo"), run)


def mxnet_network(mx):
    """The tanh-softmax network as a symbol."""
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="one")
    hidden = mx.sym.Activation(hidden, act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(hidden, num_hidden=3, name="two"), name="softmax")


def mxnet_module(mx, context, x, weights):
    """A bound module with these weights."""
    module = mx.mod.Module(mxnet_network(mx), context=context)
    module.bind(data_shapes=[("data", x.shape)], label_shapes=[("softmax_label", (len(x),))])
    named = zip(("one_weight", "one_bias", "two_weight", "two_bias"), (weights[0].T, weights[1], weights[2].T, weights[3]))
    module.init_params(arg_params=dict((name, mx.nd.array(value)) for name, value in named), aux_params={})
    return module


def mxnet_weights(module):
    """A module's weights, in the order and layout of network()."""
    values = dict((name, value.asnumpy()) for name, value in module.get_params()[0].items())
    return [values["one_weight"].T, values["one_bias"], values["two_weight"].T, values["two_bias"]]


def mxnet_training(probe, mx):
    start, x, y = network(2)

    def run(device):
        context = mxnet_context(probe, mx, device)
        module = mxnet_module(mx, context, x, start)
        options = {"learning_rate": RATE, "rescale_grad": 1.0 / len(x), "wd": 0.0}
        module.init_optimizer(optimizer="sgd", optimizer_params=options)
        labels = mx.nd.array(y.argmax(1).astype("float32"))
        module.forward(mx.io.DataBatch(data=[mx.nd.array(x)], label=[labels]), is_train=True)
        module.backward()
        module.update()
        if device == probe.want:
            probe.ran_on("mxnet", "training step", str(module.get_outputs()[0].context))
        return [new - old for new, old in zip(mxnet_weights(module), start)]

    return probe.agree("weights after a training step", descend(start, x, y), run, STEP_TOLERANCE)


def mxnet_save_load(probe, mx):
    start, x, y = network(2)
    prefix = os.path.join(probe.scratch, "model")
    context = mxnet_context(probe, mx, probe.want)
    mxnet_module(mx, context, x, start).save_checkpoint(prefix, 1)
    symbol, params, states = mx.model.load_checkpoint(prefix, 1)
    loaded = mx.mod.Module(symbol, context=context)
    loaded.bind(data_shapes=[("data", x.shape)], label_shapes=[("softmax_label", (len(x),))])
    loaded.set_params(params, states)
    return compare(mxnet_weights(loaded), start, 1e-7, "weights after loading a checkpoint", "the saved model's")


def probe_mxnet(probe):
    """MXNet 0.9 and newer, by symbols and modules, which all of them have."""
    modules = []
    if not probe.check("mxnet import", lambda: modules.append(__import__("mxnet"))):
        return
    mx = modules[0]
    probe.check("mxnet version", check_version, probe, "mxnet", mx.__version__)
    probe.check("mxnet matmul", mxnet_matmul, probe, mx)
    probe.check("mxnet convolution", mxnet_convolution, probe, mx)
    probe.check("mxnet batch norm", mxnet_norm, probe, mx)
    probe.check("mxnet LSTM", mxnet_cell, probe, mx)
    probe.check("mxnet training step", mxnet_training, probe, mx)
    probe.check("mxnet save and load", mxnet_save_load, probe, mx)
    probe.check("mxnet device", probe.check_device, "mxnet")
