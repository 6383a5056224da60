# ---- TensorFlow --------------------------------------------------------------------------------------------


def tensorflow_run(tf, probe, what, fetch, feed, session, operations):
    """Run a graph and remember where its named operations really ran (from the run's metadata)."""
    metadata = tf.RunMetadata()
    result = session.run(fetch, feed, tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE), metadata)
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            if node.node_name.split("/")[-1].split(":")[0].rstrip("_0123456789") in operations:
                probe.ran_on("tensorflow", what, device.device)
    return result


def tensorflow_session(tf):
    """A session that takes GPU memory as it needs it."""
    config = tf.ConfigProto()
    config.gpu_options.allow_growth = True
    return tf.Session(config=config)


class Nowhere(object):
    """A context that leaves the placement to TensorFlow."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def tensorflow_compute(probe, tf, eager, what, build, arrays, operations):
    """run(device) for Probe.agree: build(tensors) eagerly or in a session."""

    def run(device):
        ours = device == probe.want
        place = Nowhere() if ours else tf.device("/cpu:0")
        if eager:
            with place:
                result = build([tf.constant(array) for array in arrays])
                if ours:
                    probe.ran_on("tensorflow", what, result.device)
                return result.numpy()
        with tf.Graph().as_default(), tensorflow_session(tf) as session:
            with place:
                inputs = [tf.placeholder(tf.float32, array.shape) for array in arrays]
                result = build(inputs)
            feed = dict(zip(inputs, arrays))
            if not ours:
                return session.run(result, feed)
            return tensorflow_run(tf, probe, what, result, feed, session, operations)

    return run


def tensorflow_matmul(probe, tf, eager):
    a, b = matrices()
    run = tensorflow_compute(probe, tf, eager, "matmul", lambda given: tf.matmul(*given), [a, b], {"MatMul"})
    return probe.agree("matmul", product(a, b), probe.timed("tensorflow", run))


def tensorflow_convolution(probe, tf, eager):
    x, w = images()
    run = tensorflow_compute(
        probe, tf, eager, "convolution", lambda given: tf.nn.conv2d(given[0], given[1], [1, 1, 1, 1], "VALID"), [x, w], {"Conv2D"}
    )
    return probe.agree("convolution", correlate(x, w), run)


def tensorflow_norm(probe, tf, eager):
    """Fused batch norm, in training: cuDNN's on a GPU."""
    x, scale, shift = channels()
    fused = tf.compat.v1.nn.fused_batch_norm if eager else getattr(tf.nn, "fused_batch_norm", None)

    def norm(given):
        if fused is None:  # before TensorFlow 1.0
            mean, variance = tf.nn.moments(given[0], [0, 1, 2])
            return tf.nn.batch_normalization(given[0], mean, variance, given[2], given[1], EPSILON)
        return fused(given[0], given[1], given[2], epsilon=EPSILON, is_training=True, name="norm")[0]

    run = tensorflow_compute(probe, tf, eager, "batch norm", norm, [x, scale, shift], {"norm"})
    return probe.agree("batch norm", normalized(x, scale, shift), run)


def tensorflow_cell(probe, tf, eager):
    """An LSTM: TensorFlow 1's own, with its forget bias; Keras' in TensorFlow 2."""
    x, w, u, b = sequences(4)
    if not eager:
        return probe.agree("LSTM", lstm(x, w, u, b, "igfo", 1.0), tensorflow_lstm(probe, tf, x, w, u, b))
    layer = tf.keras.layers.LSTM(6, return_sequences=True, recurrent_activation="sigmoid")
    layer.build(x.shape)
    layer.set_weights([w, u, b])
    run = tensorflow_compute(probe, tf, eager, "LSTM", lambda given: layer(given[0]), [x], ())
    return probe.agree("LSTM", lstm(x, w, u, b, "ifgo"), run)


def tensorflow_lstm(probe, tf, x, w, u, b):
    """TensorFlow 1's LSTM cell, run over time by a loop in the graph."""
    import numpy as np

    cells = tf.nn.rnn_cell if hasattr(tf.nn, "rnn_cell") else tf.contrib.rnn

    def run(device):
        ours = device == probe.want
        with tf.Graph().as_default(), tensorflow_session(tf) as session:
            with Nowhere() if ours else tf.device("/cpu:0"):
                given = tf.placeholder(tf.float32, x.shape)
                states, _ = tf.nn.dynamic_rnn(cells.BasicLSTMCell(6, forget_bias=1.0), given, dtype=tf.float32)
                values = dict((len(v.get_shape()), v) for v in tf.trainable_variables())
                assigned = [tf.assign(values[2], np.concatenate([w, u])), tf.assign(values[1], b)]
            session.run(tf.global_variables_initializer())
            session.run(assigned)
            if not ours:
                return session.run(states, {given: x})
            return tensorflow_run(tf, probe, "LSTM", states, {given: x}, session, {"MatMul", "basic_lstm_cell"})

    return run


def tensorflow_loss(tf, weights, x, y):
    scores = tf.matmul(tf.tanh(tf.matmul(x, weights[0]) + weights[1]), weights[2]) + weights[3]
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=scores))


def tensorflow_training(probe, tf, eager):
    start, x, y = network(2)
    step = tensorflow_eager_step if eager else tensorflow_graph_step

    def run(device):
        ours = device == probe.want
        with Nowhere() if ours else tf.device("/cpu:0"):
            after = step(tf, start, x, y, probe if ours else None)
        return [new - old for new, old in zip(after, start)]

    return probe.agree("weights after a training step", descend(start, x, y), run, STEP_TOLERANCE)


def tensorflow_eager_step(tf, start, x, y, probe):
    """The weights after one step; ``probe`` learns where it ran, unless it is None."""
    weights = [tf.Variable(w) for w in start]
    with tf.GradientTape() as tape:
        loss = tensorflow_loss(tf, weights, tf.constant(x), tf.constant(y))
    gradients = tape.gradient(loss, weights)
    tf.keras.optimizers.SGD(RATE).apply_gradients(zip(gradients, weights))
    if probe:
        probe.ran_on("tensorflow", "training step", gradients[0].device)
    return [w.numpy() for w in weights]


def tensorflow_graph_step(tf, start, x, y, probe):
    """The same in a session."""
    with tf.Graph().as_default(), tensorflow_session(tf) as session:
        with Nowhere() if probe else tf.device("/cpu:0"):
            weights = [tf.Variable(w) for w in start]
            a, b = tf.placeholder(tf.float32, x.shape), tf.placeholder(tf.float32, y.shape)
            step = tf.train.GradientDescentOptimizer(RATE).minimize(tensorflow_loss(tf, weights, a, b))
        session.run(tf.global_variables_initializer())
        if probe:
            tensorflow_run(tf, probe, "training step", step, {a: x, b: y}, session, {"MatMul"})
        else:
            session.run(step, {a: x, b: y})
        return session.run(weights)


def probe_tensorflow(probe):
    """TensorFlow 1.x by sessions, 2.x eagerly; its own Keras where h5py is there and no other Keras is asked for."""
    modules = []
    if not probe.check("tensorflow import", lambda: modules.append(__import__("tensorflow"))):
        return
    tf = modules[0]
    probe.check("tensorflow version", check_version, probe, "tensorflow", tf.__version__)
    eager = int(tf.__version__.split(".")[0]) >= 2
    if eager:
        for gpu in tf.config.list_physical_devices("GPU") if hasattr(tf.config, "list_physical_devices") else ():
            tf.config.experimental.set_memory_growth(gpu, True)
    probe.check("tensorflow matmul", tensorflow_matmul, probe, tf, eager)
    probe.check("tensorflow convolution", tensorflow_convolution, probe, tf, eager)
    probe.check("tensorflow batch norm", tensorflow_norm, probe, tf, eager)
    probe.check("tensorflow LSTM", tensorflow_cell, probe, tf, eager)
    probe.check("tensorflow training step", tensorflow_training, probe, tf, eager)
    probe.check("tensorflow device", probe.check_device, "tensorflow")
    standalone = "keras" in (probe.expect.get("frameworks") or {})
    if not standalone and hasattr(tf, "keras") and "h5py" in (probe.expect.get("packages") or {}):
        keras_checks(probe, "tf.keras", tf.keras, "tensorflow", 2)
