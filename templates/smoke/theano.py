# ---- Theano ------------------------------------------------------------------------------------------------


def theano_import():
    """Theano with the submodules that the checks use."""
    import theano
    import theano.tensor.nnet

    try:
        import theano.tensor.nnet.bn
    except ImportError:  # before Theano 0.8
        pass
    return theano


def theano_objects(theano):
    """How many compiled modules Theano has made or loaded, by its compile directory."""
    return sum(name.endswith(".so") for _, _, names in os.walk(theano.config.compiledir) for name in names)


def theano_ran(theano, probe, what, function):
    """Remember where a Theano function ran: by the operations that were compiled into it."""
    names = [type(node.op).__name__ for node in function.maker.fgraph.toposort()]
    on_gpu = any(name.startswith("Gpu") for name in names)
    probe.ran_on("theano", what, theano.config.device if on_gpu or kind(theano.config.device) == "cpu" else "cpu")
    return names


def theano_compiler(probe, theano):
    """A C++ compiler is there where the lock promises one."""
    if not theano.config.cxx:
        if probe.expect.get("compiler"):
            raise Wrong("Theano found no C++ compiler (theano.config.cxx is empty)")
        return "none promised and none found: Theano runs without compiling"
    return "%s, BLAS flags '%s'" % (theano.config.cxx, theano.config.blas.ldflags)


def theano_compiled(theano, before):
    """How many modules were compiled since; none, with a compiler and a BLAS to link, is wrong."""
    made = theano_objects(theano) - before
    if theano.config.cxx and theano.config.blas.ldflags and not made:
        raise Wrong("there is a compiler, but nothing was compiled")
    return "%d modules compiled" % made


def theano_matmul(probe, theano):
    a, b = matrices()
    before, x, y = theano_objects(theano), theano.tensor.fmatrix(), theano.tensor.fmatrix()
    function = theano.function([x, y], theano.tensor.dot(x, y))
    names = theano_ran(theano, probe, "matmul", function)
    detail = "matmul (%s, %s)" % (", ".join(names), theano_compiled(theano, before))
    run = probe.timed("theano", lambda _: function(a, b))
    return compare(run(probe.want), product(a, b), TOLERANCE[probe.want], detail)


def theano_convolution(probe, theano):
    x, w = images()
    x, w = x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)
    a, b = theano.tensor.ftensor4(), theano.tensor.ftensor4()
    function = theano.function([a, b], theano.tensor.nnet.conv2d(a, b, border_mode="valid"))
    theano_ran(theano, probe, "convolution", function)
    flipped = w[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
    reference = correlate(x.transpose(0, 2, 3, 1), flipped).transpose(0, 3, 1, 2)
    return compare(function(x, w), reference, TOLERANCE[probe.want], "convolution")


def theano_norm(probe, theano):
    """Batch norm in training, or, before Theano 0.9, with the statistics computed beside it."""
    x, scale, shift = channels()
    tensor, nnet = theano.tensor, theano.tensor.nnet
    given = [tensor.ftensor4(), tensor.fvector(), tensor.fvector()]
    images, bounds = given[0].dimshuffle(0, 3, 1, 2), [vector.dimshuffle("x", 0, "x", "x") for vector in given[1:]]
    own = getattr(nnet, "bn", None)
    if hasattr(own, "batch_normalization_train"):
        result = own.batch_normalization_train(images, bounds[0], bounds[1], axes="spatial", epsilon=EPSILON)[0]
    else:
        mean, spread = images.mean((0, 2, 3), keepdims=True), tensor.sqrt(images.var((0, 2, 3), keepdims=True) + EPSILON)
        plain = lambda x, scale, shift, mean, spread: (x - mean) / spread * scale + shift  # noqa: E731
        result = getattr(own, "batch_normalization", plain)(images, bounds[0], bounds[1], mean, spread)
    function = theano.function(given, result, allow_input_downcast=True)
    theano_ran(theano, probe, "batch norm", function)
    return compare(
        function(x, scale, shift), normalized(x, scale, shift).transpose(0, 3, 1, 2), TOLERANCE[probe.want], "batch norm"
    )


def theano_cell(probe, theano):
    """A simple recurrent layer by scan."""
    import numpy as np

    tensor = theano.tensor
    x, w, u, b = sequences(1)
    given = tensor.ftensor3()
    states, _ = theano.scan(
        lambda now, before: tensor.tanh(tensor.dot(now, w) + tensor.dot(before, u) + b),
        sequences=given.dimshuffle(1, 0, 2), outputs_info=tensor.as_tensor_variable(np.zeros((4, 6), "float32")),
    )  # fmt: skip
    function = theano.function([given], states.dimshuffle(1, 0, 2))
    return compare(function(x), recur(x, w, u, b), TOLERANCE[probe.want], "recurrent layer")


def theano_training(probe, theano):
    """One layer, and the mean as a sum over a constant: each operation of the graph is one run of the compiler."""
    import numpy as np

    tensor = theano.tensor
    start, x, y = network(1)
    before = theano_objects(theano)
    weights = [theano.shared(w) for w in start]
    a, b = tensor.fmatrix(), tensor.fmatrix()
    shares = tensor.nnet.softmax(tensor.dot(a, weights[0]) + weights[1])
    loss = tensor.nnet.categorical_crossentropy(shares, b).sum() / np.float32(len(x))
    updates = [(w, w - np.float32(RATE) * g) for w, g in zip(weights, tensor.grad(loss, weights))]
    function = theano.function([a, b], [], updates=updates)
    theano_ran(theano, probe, "training step", function)
    function(x, y)
    made = theano_objects(theano) - before
    if theano.config.cxx and not made:
        raise Wrong("there is a compiler, but nothing was compiled")
    changes = [w.get_value() - old for w, old in zip(weights, start)]
    what = "weights after a training step (%d modules compiled)" % made
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], what)


def probe_theano(probe):
    """Theano, and theano-pymc, the fork of the same import name: a matrix product and a training step are compiled.

    Compiling a Keras model takes minutes and proves nothing more, so what follows runs in Python: in a second
    process, because Theano cannot be talked out of its compiler once imported. On a GPU all must be compiled.
    """
    modules = []
    if not probe.check("theano import", lambda: modules.append(theano_import())):
        return
    theano = modules[0]
    name = "theano" if "theano" in (probe.expect.get("frameworks") or {}) else "theano-pymc"
    probe.check("theano version", check_version, probe, name, theano.__version__)
    probe.check("theano compiler", theano_compiler, probe, theano)
    probe.check("theano matmul", theano_matmul, probe, theano)
    probe.check("theano training step", theano_training, probe, theano)
    if probe.want == "cpu":
        probe_interpreted(probe)
    else:
        probe.check("theano convolution", theano_convolution, probe, theano)
        probe.check("theano batch norm", theano_norm, probe, theano)
        probe.check("theano recurrent layer", theano_cell, probe, theano)
        if "keras" in (probe.expect.get("frameworks") or {}):
            probe_keras(probe)
    probe.check("theano device", probe.check_device, "theano")


def probe_interpreted(probe):
    """Theano's convolution and all of Keras in a process that has no compiler; its checks become ours."""
    expect = json.dumps(dict(probe.expect, interpreted=True))
    flags = os.environ.get("THEANO_FLAGS", "")
    environment = dict(os.environ, THEANO_FLAGS=flags + ",cxx=", TMPDIR=probe.scratch)
    command = [sys.executable, "-B", os.path.abspath(__file__), expect]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    lines = child.communicate()[0].decode("utf-8").splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, ValueError):
        probe.check("theano in Python", fail, "the process without a compiler ended with %d" % child.returncode)
        return
    probe.checks += report["checks"]
    probe.versions.update(report["versions"])
    if report["device"]:
        probe.ran_on("theano", "convolution", report["device"])


def run_interpreted(probe):
    """The second process's part."""
    theano = theano_import()
    probe.check("theano convolution", theano_convolution, probe, theano)
    probe.check("theano batch norm", theano_norm, probe, theano)
    probe.check("theano recurrent layer", theano_cell, probe, theano)
    if "keras" in (probe.expect.get("frameworks") or {}):
        probe_keras(probe)


def fail(text):
    """A check that cannot pass."""
    raise Wrong(text)
