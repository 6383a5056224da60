"""Prove that this environment is what its lock says, and that it computes what NumPy computes.

    python smoke.py               expects what the envsolve.lock beside this file says
    python smoke.py FILE|JSON     expects what that lock or expectation says

Runs on Python 2.7 and 3.4 or newer, needs NumPy and the frameworks under test only, no network, and no
writable folder but a temporary one. Prints one JSON report on stdout as its last act; everything else,
whatever the frameworks print included, goes to stderr. Exit status 0: every check passed; 1: one did not, or
(then there is no report) the expectation could not be read.

An expectation: {"python": "3.6", "device": "cpu" | "gpu", "frameworks": {"tensorflow": "1.4.1"},
"packages": {"numpy": "1.13.3"}, "backend": Keras' backend or null, "compiler": whether Theano must find one}.
References are computed in float64 without BLAS, so that a broken BLAS cannot agree with itself. An "error"
is the largest difference from the reference, as a share of the reference's largest value.
"""

from __future__ import division, print_function

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback

SCHEMA = "envsolve/smoke-1"
# float32 rounding on a CPU; on a GPU also TF32 (10 bits of mantissa), which some releases use by default.
TOLERANCE = {"cpu": 2e-5, "gpu": 5e-3}
STEP_TOLERANCE = {"cpu": 2e-4, "gpu": 1e-2}
RATE = 0.5
clock = getattr(time, "monotonic", time.time)


class Wrong(Exception):
    """A check came out wrong: the message says how."""

    def __init__(self, text, error=None, tolerance=None):
        Exception.__init__(self, text)
        self.error, self.tolerance = error, tolerance


class Probe(object):
    """What is expected, what was found: runs checks one by one, whatever they raise."""

    def __init__(self, expect, scratch):
        self.expect, self.scratch = expect, scratch
        self.checks, self.versions, self.devices = [], {}, {}
        self.want = expect.get("device") or "cpu"

    def check(self, name, function, *arguments):
        """Run one check; True when it passed. It gives its detail, or (detail, error, tolerance)."""
        print("smoke: begin " + name, file=sys.stderr)
        sys.stderr.flush()
        row, start = {"name": name, "ok": False, "detail": ""}, clock()
        try:
            result = function(*arguments)
            detail, error, tolerance = result if isinstance(result, tuple) else (result, None, None)
            row["ok"] = True
        except Wrong as wrong:
            detail, error, tolerance = str(wrong), wrong.error, wrong.tolerance
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # frameworks raise SystemExit too
            traceback.print_exc()
            lines = "".join(traceback.format_exception_only(type(problem), problem)).strip().splitlines()
            detail, error, tolerance = lines[-1].strip() if lines else repr(problem), None, None
            if len(lines) > 1 and not lines[0].startswith(" "):
                detail = lines[0].strip() + " ... " + detail
        row["detail"], row["seconds"] = (detail or "")[:500], round(clock() - start, 3)
        if error is not None:
            row["error"], row["tolerance"] = error, tolerance
        self.checks.append(row)
        print("smoke: %s %s %s" % ("ok" if row["ok"] else "FAIL", name, row["detail"]), file=sys.stderr)
        return row["ok"]

    def ran_on(self, framework, what, device):
        """Remember the device that one operation ran on."""
        self.devices.setdefault(framework, {})[what] = device

    def check_device(self, framework):
        """Every remembered operation of the framework ran where the stack was solved for."""
        found = self.devices.get(framework, {})
        wrong = sorted(what for what, device in found.items() if kind(device) != self.want)
        if not found:
            raise Wrong("no operation ran, so no device was seen")
        if wrong:
            raise Wrong("solved for the %s, but %s ran on %s" % (self.want, ", ".join(wrong), found[wrong[0]]))
        return "%s ran on %s" % (", ".join(sorted(found)), ", ".join(sorted(set(found.values()))))

    def report(self, seconds):
        """The document to print."""
        seen = set(kind(device) for found in self.devices.values() for device in found.values())
        device = ("gpu" if seen == {"gpu"} else "cpu") if seen else None
        return {
            "schema": SCHEMA, "ok": bool(self.checks) and all(row["ok"] for row in self.checks),
            "python": "%d.%d.%d" % sys.version_info[:3], "device": device, "versions": self.versions,
            "checks": self.checks, "seconds": round(seconds, 3),
        }  # fmt: skip


def kind(device):
    """'gpu' or 'cpu' for a device as any framework names it."""
    return "gpu" if "gpu" in device.lower() or "cuda" in device.lower() else "cpu"


# ---- the reference: NumPy, float64, no BLAS ----------------------------------------------------------------


def product(a, b):
    """The matrix product, by NumPy's own loops (einsum never calls BLAS unless told to optimize)."""
    import numpy as np

    return np.einsum("ij,jk->ik", np.asarray(a, "float64"), np.asarray(b, "float64"))


def matrices():
    """Two float32 matrices large enough for blocked and threaded kernels."""
    import numpy as np

    random = np.random.RandomState(1)
    return random.normal(size=(192, 320)).astype("float32"), random.normal(size=(320, 256)).astype("float32")


def images():
    """A batch of images (N, H, W, C) and kernels (h, w, C, K), float32."""
    import numpy as np

    random = np.random.RandomState(2)
    return random.normal(size=(4, 12, 11, 3)).astype("float32"), random.normal(size=(3, 3, 3, 5)).astype("float32")


def correlate(x, w):
    """What frameworks call convolution, without padding: x (N, H, W, C), w (h, w, C, K)."""
    import numpy as np

    x, w = np.asarray(x, "float64"), np.asarray(w, "float64")
    rows, columns = x.shape[1] - w.shape[0] + 1, x.shape[2] - w.shape[1] + 1
    out = np.zeros((x.shape[0], rows, columns, w.shape[3]))
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            out += np.einsum("nrcp,pk->nrck", x[:, i : i + rows, j : j + columns, :], w[i, j])
    return out


def network(layers):
    """Weights [W1, b1, W2, b2] of a tanh-softmax network, or [W, b] of its softmax alone; inputs; one-hot labels."""
    import numpy as np

    random = np.random.RandomState(3)
    shapes = ((6, 8), (8,), (8, 3), (3,)) if layers == 2 else ((6, 3), (3,))
    weights = [random.normal(scale=0.5, size=shape).astype("float32") for shape in shapes]
    labels = np.eye(3)[random.randint(3, size=32)].astype("float32")
    return weights, random.normal(size=(32, 6)).astype("float32"), labels


def descend(weights, x, y):
    """How one step of gradient descent on the mean cross-entropy changes the weights: derived by hand."""
    import numpy as np

    weights = [np.asarray(w, "float64") for w in weights]
    hidden = np.tanh(product(x, weights[0]) + weights[1]) if len(weights) == 4 else np.asarray(x, "float64")
    scores = product(hidden, weights[-2]) + weights[-1]
    shares = np.exp(scores - scores.max(1, keepdims=True))
    d_scores = (shares / shares.sum(1, keepdims=True) - y) / len(x)
    gradients = [product(hidden.T, d_scores), d_scores.sum(0)]
    if len(weights) == 4:
        d_hidden = product(d_scores, weights[2].T) * (1 - hidden**2)
        gradients = [product(np.transpose(x), d_hidden), d_hidden.sum(0)] + gradients
    return [-RATE * gradient for gradient in gradients]


def compare(got, reference, tolerance, what, other="NumPy"):
    """(detail, error, tolerance) when they agree; raises Wrong when not, NaN included."""
    import numpy as np

    pairs = list(zip(got, reference)) if isinstance(got, list) else [(got, reference)]
    error = 0.0
    for ours, theirs in pairs:
        ours, theirs = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
        if ours.shape != theirs.shape:
            raise Wrong("%s: shape %s, but %s has %s" % (what, ours.shape, other, theirs.shape))
        if not np.isfinite(ours).all():
            raise Wrong("%s: not all values are finite" % what)
        error = max(error, float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0)))
    text = "%s: differs from %s by %.1e at most, allowed %.0e" % (what, other, error, tolerance)
    if error > tolerance:
        raise Wrong(text, error, tolerance)
    return text, error, tolerance


# ---- what is installed -------------------------------------------------------------------------------------


def normal(name):
    """A project's canonical name."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def plain(version):
    """A version without its local part, final zeros and spelling of the rest: '1.4.0-rc0' is '1.4rc0'."""
    release, rest = re.match(r"v?([0-9.]*)(.*)", str(version).split("+")[0].strip().lower()).groups()
    while release.rstrip(".").endswith(".0"):
        release = release.rstrip(".")[:-2]
    return release.rstrip(".") + re.sub("[-_.]", "", rest)


def installed():
    """{project: version} by the metadata on sys.path; the first found counts, as for imports."""
    found = {}
    for folder in sys.path:
        for entry in sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else ():
            path = os.path.join(folder, entry)
            if entry.endswith(".dist-info"):
                path = os.path.join(path, "METADATA")
            elif entry.endswith(".egg-info"):
                path = os.path.join(path, "PKG-INFO") if os.path.isdir(path) else path
            if path.endswith(("METADATA", "PKG-INFO", ".egg-info")) and os.path.isfile(path):
                with open(path, "rb") as stream:
                    head = stream.read(65536).decode("utf-8", "replace").splitlines()
                fields = dict(line.split(": ", 1) for line in reversed(head) if line.startswith(("Name: ", "Version: ")))
                if "Name" in fields and "Version" in fields:
                    found.setdefault(normal(fields["Name"]), fields["Version"].strip())
    return found


def check_python(probe):
    """The interpreter is of the minor version that was solved."""
    running, wanted = "%d.%d" % sys.version_info[:2], probe.expect.get("python") or ""
    if wanted and wanted != running and not (wanted + ".").startswith(running + "."):
        raise Wrong("Python %s was solved, but %s runs" % (wanted, running))
    if struct.calcsize("P") != 8:
        raise Wrong("a 64-bit Python is needed, this one has %d bits" % (8 * struct.calcsize("P")))
    return "Python %s at %s" % (sys.version.split()[0], sys.executable)


def check_packages(probe):
    """Every locked package is installed, at its version."""
    found, wanted = installed(), probe.expect.get("packages") or {}
    probe.versions.update((name, found[normal(name)]) for name in wanted if normal(name) in found)
    wrong = []
    for name in sorted(wanted):
        have = found.get(normal(name))
        if have is None:
            wrong.append("%s %s is not installed" % (name, wanted[name]))
        elif plain(have) != plain(wanted[name]):
            wrong.append("%s is %s, not %s" % (name, have, wanted[name]))
    if wrong:
        raise Wrong("; ".join(wrong))
    return "%d packages as locked" % len(wanted)


def check_numpy(probe):
    """NumPy's BLAS against integers, whose products are exact in any order, and NumPy's own loops."""
    import numpy as np

    probe.versions["numpy"] = np.__version__
    random = np.random.RandomState(0)
    a, b = random.randint(-4, 5, (400, 500)), random.randint(-4, 5, (500, 300))
    exact = np.einsum("ij,jk->ik", a, b)
    for dtype in ("float32", "float64"):
        if not (np.dot(a.astype(dtype), b.astype(dtype)) == exact).all():
            raise Wrong("a %s product of small integers is not exact: this BLAS computes wrongly here" % dtype)
    a, b = matrices()
    return compare(np.dot(a, b), product(a, b), TOLERANCE["cpu"], "float32 product")


def check_version(probe, name, version):
    """The module that was imported says the version that was solved."""
    probe.versions[name] = str(version)
    wanted = (probe.expect.get("frameworks") or {}).get(name)
    if wanted and plain(version) != plain(wanted):
        raise Wrong("%s %s was solved, but %s was imported" % (name, wanted, version))
    return "%s %s" % (name, version)


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


def tensorflow_matmul(probe, tf, eager):
    a, b = matrices()
    if eager:
        result = tf.matmul(tf.constant(a), tf.constant(b))
        probe.ran_on("tensorflow", "matmul", result.device)
        got = result.numpy()
    else:
        with tf.Graph().as_default(), tensorflow_session(tf) as session:
            x, y = tf.placeholder(tf.float32, a.shape), tf.placeholder(tf.float32, b.shape)
            got = tensorflow_run(tf, probe, "matmul", tf.matmul(x, y), {x: a, y: b}, session, {"MatMul"})
    return compare(got, product(a, b), TOLERANCE[probe.want], "matmul")


def tensorflow_convolution(probe, tf, eager):
    x, w = images()
    if eager:
        result = tf.nn.conv2d(tf.constant(x), tf.constant(w), [1, 1, 1, 1], "VALID")
        probe.ran_on("tensorflow", "convolution", result.device)
        got = result.numpy()
    else:
        with tf.Graph().as_default(), tensorflow_session(tf) as session:
            a, b = tf.placeholder(tf.float32, x.shape), tf.placeholder(tf.float32, w.shape)
            out = tf.nn.conv2d(a, b, [1, 1, 1, 1], "VALID")
            got = tensorflow_run(tf, probe, "convolution", out, {a: x, b: w}, session, {"Conv2D"})
    return compare(got, correlate(x, w), TOLERANCE[probe.want], "convolution")


def tensorflow_loss(tf, weights, x, y):
    scores = tf.matmul(tf.tanh(tf.matmul(x, weights[0]) + weights[1]), weights[2]) + weights[3]
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=scores))


def tensorflow_training(probe, tf, eager):
    start, x, y = network(2)
    if eager:
        weights = [tf.Variable(w) for w in start]
        with tf.GradientTape() as tape:
            loss = tensorflow_loss(tf, weights, tf.constant(x), tf.constant(y))
        gradients = tape.gradient(loss, weights)
        tf.keras.optimizers.SGD(RATE).apply_gradients(zip(gradients, weights))
        probe.ran_on("tensorflow", "training step", gradients[0].device)
        after = [w.numpy() for w in weights]
    else:
        with tf.Graph().as_default(), tensorflow_session(tf) as session:
            weights = [tf.Variable(w) for w in start]
            a, b = tf.placeholder(tf.float32, x.shape), tf.placeholder(tf.float32, y.shape)
            loss = tensorflow_loss(tf, weights, a, b)
            step = tf.train.GradientDescentOptimizer(RATE).minimize(loss)
            session.run(tf.global_variables_initializer())
            tensorflow_run(tf, probe, "training step", step, {a: x, b: y}, session, {"MatMul"})
            after = session.run(weights)
    changes = [new - old for new, old in zip(after, start)]
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], "weights after a training step")


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
    probe.check("tensorflow training step", tensorflow_training, probe, tf, eager)
    probe.check("tensorflow device", probe.check_device, "tensorflow")
    standalone = "keras" in (probe.expect.get("frameworks") or {})
    if not standalone and hasattr(tf, "keras") and "h5py" in (probe.expect.get("packages") or {}):
        keras_checks(probe, "tf.keras", tf.keras, "tensorflow", 2)


# ---- Theano ------------------------------------------------------------------------------------------------


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
    return compare(function(a, b), product(a, b), TOLERANCE[probe.want], detail)


def theano_convolution(probe, theano):
    x, w = images()
    x, w = x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)
    a, b = theano.tensor.ftensor4(), theano.tensor.ftensor4()
    function = theano.function([a, b], theano.tensor.nnet.conv2d(a, b, border_mode="valid"))
    theano_ran(theano, probe, "convolution", function)
    flipped = w[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
    reference = correlate(x.transpose(0, 2, 3, 1), flipped).transpose(0, 3, 1, 2)
    return compare(function(x, w), reference, TOLERANCE[probe.want], "convolution")


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
    """Theano 0.8 to 1.0: a matrix product and a training step, compiled where there is a compiler.

    Compiling a Keras model takes minutes and proves nothing more, so what follows runs in Python: in a second
    process, because Theano cannot be talked out of its compiler once imported. On a GPU all must be compiled.
    """
    modules = []
    if not probe.check("theano import", lambda: modules.append(__import__("theano.tensor.nnet"))):
        return
    theano = modules[0]
    probe.check("theano version", check_version, probe, "theano", theano.__version__)
    probe.check("theano compiler", theano_compiler, probe, theano)
    probe.check("theano matmul", theano_matmul, probe, theano)
    probe.check("theano training step", theano_training, probe, theano)
    if probe.want == "cpu":
        probe_interpreted(probe)
    else:
        probe.check("theano convolution", theano_convolution, probe, theano)
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
    theano = __import__("theano.tensor.nnet")
    probe.check("theano convolution", theano_convolution, probe, theano)
    if "keras" in (probe.expect.get("frameworks") or {}):
        probe_keras(probe)


def fail(text):
    """A check that cannot pass."""
    raise Wrong(text)


# ---- Keras -------------------------------------------------------------------------------------------------


def keras_layout(keras):
    """'channels_first' or 'channels_last', by the name that this Keras has for it."""
    if hasattr(keras.backend, "image_data_format"):
        return keras.backend.image_data_format()
    return {"th": "channels_first", "tf": "channels_last"}[keras.backend.image_dim_ordering()]


def keras_convolution_layer(keras, major, shape):
    """Five 3x3 filters without padding."""
    if major < 2:
        return keras.layers.Convolution2D(5, 3, 3, border_mode="valid", input_shape=shape)
    return keras.layers.Conv2D(5, (3, 3), padding="valid", input_shape=shape)


def keras_convolution(probe, keras, backend, major):
    x, w = images()
    bias, layout = w[0, 0, 0], keras_layout(keras)
    first = layout == "channels_first"
    batch = x.transpose(0, 3, 1, 2) if first else x
    model = keras.models.Sequential([keras_convolution_layer(keras, major, batch.shape[1:])])
    kernel = w.transpose(3, 2, 0, 1) if first and major < 2 else w  # Keras 1 stores kernels in its own order
    model.set_weights([kernel, bias])
    got = model.predict(batch, batch_size=4)
    # On Theano Keras computes the mathematician's convolution: the kernel is turned over.
    reference = correlate(x, w[::-1, ::-1] if backend == "theano" else w) + bias
    got = got.transpose(0, 2, 3, 1) if first else got
    return compare(got, reference, TOLERANCE[probe.want], "convolution, " + layout)


def keras_optimizer(keras, name, rate):
    """An optimizer, also where Keras 2.5 and 2.6 moved the classes out of sight."""
    if hasattr(keras.optimizers, name):
        return getattr(keras.optimizers, name)(rate)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": rate}})


def keras_training(probe, keras):
    """One layer only: on TensorFlow 1 Keras may change W2 while the gradient of W1 still reads it."""
    start, x, y = network(1)
    model = keras.models.Sequential([keras.layers.Dense(3, activation="softmax", input_dim=6)])
    model.compile(loss="categorical_crossentropy", optimizer=keras_optimizer(keras, "SGD", RATE))
    model.set_weights(start)
    model.train_on_batch(x, y)
    changes = [new - old for new, old in zip(model.get_weights(), start)]
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], "weights after a training step")


def keras_save_load(probe, keras, major):
    """A trained model, its optimizer's state included, through HDF5; the loaded one then trains on."""
    import numpy as np

    x, _ = images()
    batch = x.transpose(0, 3, 1, 2) if keras_layout(keras) == "channels_first" else x
    labels = np.eye(3)[[0, 1, 2, 0]].astype("float32")
    layers = [keras_convolution_layer(keras, major, batch.shape[1:]), keras.layers.Flatten()]
    model = keras.models.Sequential(layers + [keras.layers.Dense(3, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer=keras_optimizer(keras, "Adam", 0.01))
    fresh = model.predict(batch)
    model.train_on_batch(batch, labels)
    trained = model.predict(batch)
    if np.abs(trained - fresh).max() == 0:
        raise Wrong("a training step changed nothing")
    path = os.path.join(probe.scratch, "model.h5")
    model.save(path)
    loaded = keras.models.load_model(path)
    pairs = [(loaded.predict(batch), trained)] + list(zip(loaded.get_weights(), model.get_weights()))
    if hasattr(model.optimizer, "get_weights"):
        pairs += zip(loaded.optimizer.get_weights(), model.optimizer.get_weights())
    what = "predictions, weights and optimizer after loading %d bytes of HDF5" % os.path.getsize(path)
    result = compare([a for a, _ in pairs], [b for _, b in pairs], 1e-6, what, "the saved model's")
    if not np.isfinite(loaded.train_on_batch(batch, labels)).all():
        raise Wrong("the loaded model's loss is not finite")
    return result


def keras_checks(probe, name, keras, backend, major):
    """The same checks for Keras on its own and for the one inside TensorFlow."""
    probe.check(name + " convolution", keras_convolution, probe, keras, backend, major)
    probe.check(name + " training step", keras_training, probe, keras)
    probe.check(name + " save and load", keras_save_load, probe, keras, major)


def keras_import():
    """Keras with the submodules that the checks use."""
    import keras
    import keras.backend
    import keras.layers
    import keras.models
    import keras.optimizers

    return keras


def check_backend(probe, keras):
    """Keras runs on the backend that was solved, without being told again."""
    running, wanted = keras.backend.backend(), probe.expect.get("backend")
    if wanted and running != wanted:
        raise Wrong("Keras should run on %s, but runs on %s" % (wanted, running))
    how = ", run without a compiler" if probe.expect.get("interpreted") else ""
    return running + ", " + keras_layout(keras) + how


def probe_keras(probe):
    """Keras 1 and 2 on the backend that its environment selects."""
    modules = []
    if not probe.check("keras import", lambda: modules.append(keras_import())):
        return
    keras = modules[0]
    probe.check("keras version", check_version, probe, "keras", keras.__version__)
    probe.check("keras backend", check_backend, probe, keras)
    keras_checks(probe, "keras", keras, keras.backend.backend(), int(keras.__version__.split(".")[0]))


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


def torch_matmul(probe, torch):
    a, b = matrices()
    device = torch_device(probe, torch)
    result = torch.from_numpy(a).to(device).matmul(torch.from_numpy(b).to(device))
    return compare(torch_seen(probe, "matmul", result), product(a, b), TOLERANCE[probe.want], "matmul")


def torch_convolution(probe, torch):
    x, w = images()
    device = torch_device(probe, torch)
    batch = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).to(device)
    result = torch.nn.functional.conv2d(batch, torch.from_numpy(w.transpose(3, 2, 0, 1).copy()).to(device))
    got = torch_seen(probe, "convolution", result).transpose(0, 2, 3, 1)
    return compare(got, correlate(x, w), TOLERANCE[probe.want], "convolution")


def torch_training(probe, torch):
    start, x, y = network(2)
    device = torch_device(probe, torch)
    weights = [torch.from_numpy(w.copy()).to(device).requires_grad_() for w in start]
    batch, labels = torch.from_numpy(x).to(device), torch.from_numpy(y.argmax(1)).to(device)
    optimizer = torch.optim.SGD(weights, lr=RATE)
    scores = torch.tanh(batch.matmul(weights[0]) + weights[1]).matmul(weights[2]) + weights[3]
    torch.nn.functional.cross_entropy(scores, labels).backward()
    optimizer.step()
    changes = [torch_seen(probe, "training step", w) - old for w, old in zip(weights, start)]
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], "weights after a training step")


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
    probe.check("torch training step", torch_training, probe, torch)
    probe.check("torch save and load", torch_save_load, probe, torch)
    probe.check("torch device", torch_describe, probe, torch)


# ---- putting it together -----------------------------------------------------------------------------------

PROBES = (("tensorflow", probe_tensorflow), ("theano", probe_theano), ("keras", probe_keras), ("torch", probe_torch))


def from_lock(lock):
    """The expectation that a lock document holds."""
    stack = lock["stack"]
    others = [row["name"] for row in stack["frameworks"] if row["name"] != "keras"]
    backend = others[0] if len(others) == 1 else None
    vendor = lock.get("image", {}).get("preinstalled", ())
    versions = {}
    for row in stack["frameworks"]:
        whole = row["version"]
        # A vendor's build calls itself by the release that it is of, and its image keeps its own build tools.
        versions[row["name"]] = whole.split("+")[0] if row["package"] + "==" + whole in vendor else whole
    packages = [row for row in lock["packages"] if not (vendor and row["phase"] == "build")]
    return {
        "python": stack["python"], "device": stack["device"],
        "frameworks": versions, "packages": dict((row["name"], row["version"]) for row in packages),
        "backend": lock.get("environment", {}).get("KERAS_BACKEND") or backend,
        "compiler": any(name.startswith("g++") for name in lock.get("system_packages", ())),
    }  # fmt: skip


def read_expectation(arguments):
    """The expectation from the command line, or from the lock beside this file."""
    given = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "envsolve.lock")
    if not given.lstrip().startswith("{"):
        with open(given, "rb") as stream:
            given = stream.read().decode("utf-8")
    document = json.loads(given)
    return from_lock(document) if "stack" in document else document


def scratch_folder():
    """A temporary folder whose files may be loaded as code (Theano's are), where there is one."""
    candidates = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.getcwd()]
    usable = [folder for folder in candidates if folder and os.access(folder, os.W_OK | os.X_OK)]
    free = [folder for folder in usable if not os.statvfs(folder).f_flag & 8]  # 8: ST_NOEXEC
    return tempfile.mkdtemp(prefix="envsolve-smoke-", dir=(free or usable or [None])[0])


def isolate(scratch):
    """Keep the person's own configuration and caches out of it, both ways."""
    home = os.environ.get("HOME")
    if home and os.access(home, os.W_OK):  # machine code that the driver compiles is worth keeping
        os.environ.setdefault("CUDA_CACHE_PATH", os.path.join(home, ".nv", "ComputeCache"))
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCH_HOME"):
        os.environ[name] = scratch
    os.environ["KERAS_HOME"] = os.path.join(scratch, ".keras")
    flags = [flag for flag in os.environ.get("THEANO_FLAGS", "").split(",") if flag.strip()]
    flags = [flag for flag in flags if not flag.strip().startswith(("base_compiledir", "compiledir="))]
    os.environ["THEANO_FLAGS"] = ",".join(flags + ["base_compiledir=" + os.path.join(scratch, "theano")])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]


def run(expect, scratch):
    """Every check that the expectation asks for -> the report."""
    start, probe = clock(), Probe(expect, scratch)
    if expect.get("interpreted"):
        run_interpreted(probe)
        return probe.report(clock() - start)
    frameworks = set(expect.get("frameworks") or {})
    if "keras" in frameworks and expect.get("backend"):
        frameworks.add(expect["backend"])
    probe.check("python", check_python, probe)
    probe.check("packages", check_packages, probe)
    probe.check("numpy", check_numpy, probe)
    for name, function in PROBES:
        if name in frameworks and not (name == "keras" and expect.get("backend") == "theano"):
            function(probe)
    for name in sorted(frameworks - set(name for name, _ in PROBES)):
        if not probe.check(name + " import", lambda name=name: __import__(name) and None):
            continue
        probe.check(name + " version", check_version, probe, name, getattr(sys.modules[name], "__version__", ""))
    return probe.report(clock() - start)


def main(arguments):
    """Run, print, and leave without the frameworks' own farewells."""
    try:
        expect, scratch = read_expectation(arguments), scratch_folder()
    except (EnvironmentError, KeyError, TypeError, ValueError) as problem:
        sys.exit("smoke: nothing to compare with, or nowhere to write: %s: %s" % (type(problem).__name__, problem))
    result = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        isolate(scratch)
        report = run(expect, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stderr.flush()
    os.write(result, (json.dumps(report, sort_keys=True) + "\n").encode("utf-8"))
    os._exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
