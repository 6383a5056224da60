"""Prove that this environment is what its lock says, and that it computes what NumPy computes.

    python smoke.py               expects what the envsolve.lock beside this file says
    python smoke.py FILE|JSON     expects what that lock or expectation says

Runs on Python 2.7 and 3.4 or newer, needs NumPy and the frameworks under test only, no network, and no
writable folder but a temporary one. Prints one JSON report on stdout as its last act; everything else,
whatever the frameworks print included, goes to stderr. Exit status 0: every check passed; 1: one did not, or
(then there is no report) the expectation could not be read.

An expectation: {"python": "3.6", "device": "cpu" | "gpu", "frameworks": {"tensorflow": "1.4.1"},
"packages": {"numpy": "1.13.3"}, "backend": Keras' backend or null, "compiler": whether Theano must find one,
"cuda": "8.0" or null, "cudnn": "6.0" or null, "own": a check of the user's own, see run_own, or none}.
References are computed in float64 without BLAS, so that a broken BLAS cannot agree with itself. An "error"
is the largest difference from the reference, as a share of the reference's largest value. On a GPU, where a
framework can do both in one process, its result there is compared with its result on the CPU too.
"""

from __future__ import division, print_function

import base64
import ctypes
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
import zlib

SCHEMA = "envsolve/smoke-1"
# float32 rounding on a CPU; on a GPU also TF32 (10 bits of mantissa), which some releases use by default.
TOLERANCE = {"cpu": 2e-5, "gpu": 5e-3}
STEP_TOLERANCE = {"cpu": 2e-4, "gpu": 1e-2}
RATE = 0.5
EPSILON = 1e-3
# A first operation this slow on a GPU, and this many times slower than the second, was compiled by the driver.
JIT_SECONDS, JIT_TIMES = 10.0, 20.0
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
        self.first_ops, self.unproven, self.libraries, self.gpus = {}, [], [], []
        self.driver, self.own = None, None
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

    def agree(self, what, reference, run, tolerance=None):
        """run(device) against the reference; on a GPU also against run("cpu"), the same framework's in this process."""
        allowed = (tolerance or TOLERANCE)[self.want]
        got = run(self.want)
        detail, error, _ = compare(got, reference, allowed, what)
        if self.want == "gpu":
            beside = compare(got, run("cpu"), allowed, what, "the CPU of this process")[1]
            detail, error = "%s; from the CPU of this process by %.1e" % (detail, beside), max(error, beside)
        return detail, error, allowed

    def timed(self, framework, run):
        """``run``, after it ran once already: what the first time took beside the second is remembered."""
        start = clock()
        run(self.want)
        first = clock() - start

        def again(device):
            start = clock()
            result = run(device)
            self.first_ops.setdefault(framework, first_op(self.want, first, clock() - start))
            return result

        return again

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
            "checks": self.checks, "seconds": round(seconds, 3), "os": system(), "first_ops": self.first_ops,
            "unproven": self.unproven, "libraries": self.libraries, "gpus": self.gpus, "driver": self.driver,
            "own": self.own,
        }  # fmt: skip


def kind(device):
    """'gpu' or 'cpu' for a device as any framework names it."""
    return "gpu" if "gpu" in device.lower() or "cuda" in device.lower() else "cpu"


def first_op(device, first, again):
    """What a framework's first operation took, what the same took again, and whether the driver compiled for it."""
    jit = device == "gpu" and first >= JIT_SECONDS and first >= JIT_TIMES * again
    return {"first": round(first, 3), "again": round(again, 3), "jit": jit}


def system():
    """The operating system that this ran on, as 'debian 12', or None."""
    try:
        with open("/etc/os-release", "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except EnvironmentError:
        return None
    fields = dict((name, value.strip("\"' ")) for name, _, value in (line.partition("=") for line in lines))
    return " ".join(fields[name] for name in ("ID", "VERSION_ID") if fields.get(name)) or None


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


def normalized(x, scale, shift):
    """Batch norm in training: each channel (the last axis) by the mean and variance of the whole batch."""
    import numpy as np

    x = np.asarray(x, "float64")
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + EPSILON) * np.asarray(scale, "float64") + np.asarray(shift, "float64")


def channels():
    """A batch of images whose channels differ in mean and spread, with a scale and a shift for each."""
    import numpy as np

    random = np.random.RandomState(4)
    x = random.normal(size=(6, 5, 4, 3)) * [0.5, 1.0, 3.0] + [0.0, 2.0, -1.0]
    return x.astype("float32"), np.array([0.5, 1.5, -2.0], "float32"), np.array([0.1, -0.3, 1.0], "float32")


def sequences(gates):
    """Sequences (4, 7, 5), and weights for 6 units with that many gates: (5, 6 gates), (6, 6 gates), (6 gates)."""
    import numpy as np

    random = np.random.RandomState(5)
    shapes = ((4, 7, 5), (5, 6 * gates), (6, 6 * gates), (6 * gates,))
    return [random.normal(scale=scale, size=shape).astype("float32") for scale, shape in zip((1, 0.5, 0.5, 0.3), shapes)]


def recur(x, w, u, b):
    """Every state of a simple recurrent layer with tanh, by batch, time, unit."""
    import numpy as np

    states = [np.zeros((len(x), len(u)))]
    for step in range(x.shape[1]):
        states.append(np.tanh(product(x[:, step], w) + product(states[-1], u) + b))
    return np.stack(states[1:], 1)


def lstm(x, w, u, b, order, forget=0.0):
    """Every state of an LSTM layer; ``order``: which gate comes where, of input, forget, g (the new value), output."""
    import numpy as np

    hidden, cell, states = np.zeros((len(x), len(u))), np.zeros((len(x), len(u))), []
    for step in range(x.shape[1]):
        whole = product(x[:, step], w) + product(hidden, u) + b
        gate = dict(zip(order, np.split(whole, 4, 1)))
        opened = dict((name, 1 / (1 + np.exp(-gate[name] - (forget if name == "f" else 0)))) for name in "ifo")
        cell = opened["f"] * cell + opened["i"] * np.tanh(gate["g"])
        hidden = opened["o"] * np.tanh(cell)
        states.append(hidden)
    return np.stack(states, 1)


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
    said = plain(version)
    # A packager's post-release is often not in what the module says of itself; the metadata was compared whole.
    if wanted and said != plain(wanted) and said != plain(wanted.split(".post")[0]):
        raise Wrong("%s %s was solved, but %s was imported" % (name, wanted, version))
    return "%s %s" % (name, version)


# ---- the driver's and CUDA's libraries, as this process really has them -------------------------------------

LIBRARIES = ("libcuda", "libcudart", "libcublas", "libcudnn", "libcufft", "libcurand", "libcusolver", "libcusparse", "libnccl")


def mapped_libraries(text):
    """The NVIDIA libraries in the text of /proc/PID/maps: name, version as the file's name has it, path."""
    found = {}
    for line in text.splitlines():
        fields = line.split(None, 5)
        path = fields[5].strip() if len(fields) == 6 else ""
        path = path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
        # Wheels add a part of the file's hash: libcudart-1b201d85.so.10.1
        match = re.match(r"(lib[a-z]+)(?:-[0-9a-f]+)?\.so(?:\.([0-9.]+))?$", path.rsplit("/", 1)[-1])
        if match and match.group(1) in LIBRARIES:
            found[path] = {"name": match.group(1), "version": match.group(2), "path": path}
    return [found[path] for path in sorted(found, key=lambda path: (found[path]["name"], path))]


def cudnn_version(number):
    """'7.6.5' for 7605, and '9.1.0' for 90100."""
    big = 10000 if number >= 90000 else 1000
    return "%d.%d.%d" % (number // big, number % big // 100, number % 100)


def cuda_version(number):
    """'10.1' for 10010."""
    return "%d.%d" % (number // 1000, number % 1000 // 10)


def ask_library(row):
    """The row with the version that the library itself tells, where it tells one."""
    try:
        if row["name"] == "libcudnn":
            function = ctypes.CDLL(row["path"]).cudnnGetVersion
            function.restype = ctypes.c_size_t
            return dict(row, version=cudnn_version(function()))
        functions = {"libcudart": "cudaRuntimeGetVersion", "libcuda": "cuDriverGetVersion"}
        if row["name"] in functions:
            number = ctypes.c_int(0)
            failed = getattr(ctypes.CDLL(row["path"]), functions[row["name"]])(ctypes.byref(number))
            if not failed and row["name"] == "libcuda":
                return dict(row, cuda=cuda_version(number.value))
            if not failed:
                return dict(row, version=cuda_version(number.value))
    except (AttributeError, EnvironmentError, ValueError):
        pass
    return row


def older(found, wanted):
    """Whether a version is of another major release than the wanted one, or of an earlier minor one."""
    ours, theirs = ([int(part) for part in re.findall("[0-9]+", text)[:2]] for text in (found, wanted))
    return ours[:1] != theirs[:1] or (len(ours) == len(theirs) == 2 and ours < theirs)


def library_faults(rows, expect):
    """What is wrong about the libraries of a process that is to compute on a GPU, one sentence each."""
    faults = []
    if not any(row["name"] == "libcuda" for row in rows):
        faults.append("the driver's libcuda is not in this process, so nothing ran on a GPU")
    for name, wanted in (("libcudart", expect.get("cuda")), ("libcudnn", expect.get("cudnn"))):
        here = [row for row in rows if row["name"] == name and row["version"]]
        if len(set(row["version"] for row in here)) > 1:
            versions = ", ".join("%s (%s)" % (row["version"], row["path"]) for row in here)
            faults.append("two versions of %s in one process: %s" % (name, versions))
        for row in here:
            if wanted and older(row["version"], wanted):
                faults.append("%s %s was solved, but %s is %s" % (name, wanted, row["path"], row["version"]))
    return faults


def check_libraries(probe):
    """The libraries that are really loaded are of the versions that were solved; on GPU stacks only."""
    with open("/proc/self/maps") as stream:
        probe.libraries = [ask_library(row) for row in mapped_libraries(stream.read())]
    faults = library_faults(probe.libraries, probe.expect)
    if faults:
        raise Wrong("; ".join(faults))
    said = ["%s %s" % (row["name"], row["version"] or "of no version") for row in probe.libraries]
    missing = sorted({"libcudart", "libcudnn"} - set(row["name"] for row in probe.libraries))
    return ", ".join(said) + "".join("; no %s in the process: linked in, or not used" % name for name in missing)


def driver_version(rows):
    """The driver's version as NVIDIA's management library tells it, else as libcuda's file is called."""
    try:
        library, text = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.create_string_buffer(96)
        if not library.nvmlInit_v2():
            failed = library.nvmlSystemGetDriverVersion(text, 96)
            library.nvmlShutdown()
            if not failed:
                return text.value.decode("ascii", "replace")
    except (AttributeError, EnvironmentError):
        pass
    return ([row["version"] for row in rows if row["name"] == "libcuda"] or [None])[0]


def visible_gpus(path):
    """The GPUs that CUDA shows to this process, asked of the libcuda that is in it: name and compute capability."""
    library, count, found = ctypes.CDLL(path), ctypes.c_int(0), []
    failed = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if failed:
        raise Wrong("the driver refuses: CUDA error %d" % failed)
    for at in range(count.value):
        device, text, major, minor = ctypes.c_int(0), ctypes.create_string_buffer(96), ctypes.c_int(0), ctypes.c_int(0)
        library.cuDeviceGet(ctypes.byref(device), at)
        library.cuDeviceGetName(text, 96, device)
        library.cuDeviceGetAttribute(ctypes.byref(major), 75, device)  # COMPUTE_CAPABILITY_MAJOR, _MINOR
        library.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        name = text.value.decode("utf-8", "replace")
        found.append({"name": name, "capability": "%d.%d" % (major.value, minor.value)})
    return found


def check_driver(probe):
    """The driver and the GPUs that this process really has."""
    with open("/proc/self/maps") as stream:
        rows = [row for row in mapped_libraries(stream.read()) if row["name"] == "libcuda"]
    probe.driver = driver_version(rows)
    if not rows:
        raise Wrong("the driver's libcuda is not in this process, so nothing ran on a GPU")
    probe.gpus = visible_gpus(rows[0]["path"])
    if not probe.gpus:
        raise Wrong("driver %s, and no GPU that it shows" % probe.driver)
    names = ["%s (capability %s)" % (row["name"], row["capability"]) for row in probe.gpus]
    return "driver %s: %s" % (probe.driver, ", ".join(names))


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


def keras_norm(probe, keras):
    """Batch norm with the statistics that a model carries: what a loaded model predicts by."""
    x, scale, shift = channels()
    first = keras_layout(keras) == "channels_first"
    batch, axis = (x.transpose(0, 3, 1, 2), 1) if first else (x, -1)
    layer = keras.layers.BatchNormalization(epsilon=EPSILON, axis=axis, input_shape=batch.shape[1:])
    model = keras.models.Sequential([layer])
    spread = x.reshape(-1, 3).var(0)
    model.set_weights([scale, shift, x.reshape(-1, 3).mean(0), spread])
    got = model.predict(batch, batch_size=len(x))
    got = got.transpose(0, 2, 3, 1) if first else got
    return compare(got, normalized(x, scale, shift), TOLERANCE[probe.want], "batch norm")


def keras_cell(probe, keras, major):
    """A simple recurrent layer: every Keras has it with the same weights."""
    x, w, u, b = sequences(1)
    units = {"output_dim": 6} if major < 2 else {"units": 6}
    layer = keras.layers.SimpleRNN(return_sequences=True, input_shape=x.shape[1:], **units)
    model = keras.models.Sequential([layer])
    model.set_weights([w, u, b])
    return compare(model.predict(x, batch_size=len(x)), recur(x, w, u, b), TOLERANCE[probe.want], "recurrent layer")


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
    probe.check(name + " batch norm", keras_norm, probe, keras)
    probe.check(name + " recurrent layer", keras_cell, probe, keras, major)
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


# ---- JAX ---------------------------------------------------------------------------------------------------


def jax_compute(probe, jax, what, function, arrays):
    """run(device) for Probe.agree: the function, compiled by jax.jit, there."""
    compiled = jax.jit(function)

    def run(device):
        place = jax.devices()[0] if device == probe.want else jax.devices("cpu")[0]
        result = compiled(*[jax.device_put(array, place) for array in arrays])
        if device == probe.want:
            first = result[0] if isinstance(result, (list, tuple)) else result
            probe.ran_on("jax", what, jax_platform(jax, first))
        import numpy as np

        return [np.asarray(r) for r in result] if isinstance(result, (list, tuple)) else np.asarray(result)

    return run


def jax_platform(jax, array):
    """The platform of the device that an array lies on, by what this release has for it."""
    if hasattr(array, "devices"):
        return sorted(device.platform for device in array.devices())[0]
    if hasattr(array, "device_buffer"):
        array = array.device_buffer
    device = array.device() if hasattr(array, "device") else jax.devices()[0]
    return getattr(device, "platform", str(device))


def jax_matmul(probe, jax):
    a, b = matrices()
    run = jax_compute(probe, jax, "matmul", lambda a, b: jax.numpy.dot(a, b), [a, b])
    return probe.agree("matmul", product(a, b), probe.timed("jax", run))


def jax_convolution(probe, jax):
    x, w = images()

    def function(x, w):
        return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    return probe.agree("convolution", correlate(x, w), jax_compute(probe, jax, "convolution", function, [x, w]))


def jax_norm(probe, jax):
    """JAX has no batch norm of its own: the reductions and the arithmetic of it, compiled as one."""
    arrays = channels()

    def function(x, scale, shift):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) / jax.numpy.sqrt(variance + EPSILON) * scale + shift

    return probe.agree("batch norm", normalized(*arrays), jax_compute(probe, jax, "batch norm", function, arrays))


def jax_cell(probe, jax):
    """A simple recurrent layer by lax.scan."""
    x, w, u, b = sequences(1)

    def function(x, w, u, b):
        def step(state, now):
            state = jax.numpy.tanh(jax.numpy.dot(now, w) + jax.numpy.dot(state, u) + b)
            return state, state

        start = jax.numpy.zeros((x.shape[0], 6), "float32")
        return jax.numpy.transpose(jax.lax.scan(step, start, jax.numpy.transpose(x, (1, 0, 2)))[1], (1, 0, 2))

    return probe.agree("scan", recur(x, w, u, b), jax_compute(probe, jax, "scan", function, [x, w, u, b]))


def jax_training(probe, jax):
    start, x, y = network(2)

    def loss(weights, x, y):
        hidden = jax.numpy.tanh(jax.numpy.dot(x, weights[0]) + weights[1])
        scores = jax.numpy.dot(hidden, weights[2]) + weights[3]
        scores = scores - scores.max(1, keepdims=True)
        return (jax.numpy.log(jax.numpy.exp(scores).sum(1)) - (scores * y).sum(1)).mean()

    def step(a, b, c, d, x, y):
        return [-RATE * gradient for gradient in jax.grad(loss)([a, b, c, d], x, y)]

    run = jax_compute(probe, jax, "training step", step, start + [x, y])
    return probe.agree("changes by a training step", descend(start, x, y), run, STEP_TOLERANCE)


def jax_import():
    """JAX with the submodules that the checks use."""
    import jax
    import jax.lax
    import jax.numpy

    return jax


def probe_jax(probe):
    """JAX, and jaxlib under it."""
    modules = []
    if not probe.check("jax import", lambda: modules.append(jax_import())):
        return
    jax = modules[0]
    probe.check("jax version", check_version, probe, "jax", jax.__version__)
    probe.check("jax matmul", jax_matmul, probe, jax)
    probe.check("jax convolution", jax_convolution, probe, jax)
    probe.check("jax batch norm", jax_norm, probe, jax)
    probe.check("jax scan", jax_cell, probe, jax)
    probe.check("jax training step", jax_training, probe, jax)
    probe.check("jax device", probe.check_device, "jax")


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


# ---- putting it together -----------------------------------------------------------------------------------

PROBES = (
    ("tensorflow", probe_tensorflow), ("theano", probe_theano), ("keras", probe_keras), ("torch", probe_torch),
    ("mxnet", probe_mxnet), ("chainer", probe_chainer), ("cntk", probe_cntk), ("jax", probe_jax),
    ("onnxruntime", probe_onnxruntime), ("theano-pymc", probe_theano),
)  # fmt: skip
# What is computed through another framework's checks, on which device.
BENEATH = {"jaxlib": ("jax", ("cpu", "gpu")), "cupy": ("chainer", ("gpu",))}
OWN_LINES, OWN_SECONDS = 20, 600


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
        "cuda": stack.get("cuda"), "cudnn": stack.get("cudnn"),
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
        run_unknown(probe, name, frameworks)
    if probe.want == "gpu":
        probe.check("driver", check_driver, probe)
        probe.check("libraries", check_libraries, probe)
    if expect.get("own"):
        probe.check("own check " + expect["own"]["name"], run_own, probe, expect["own"])
    return probe.report(clock() - start)


def run_unknown(probe, name, frameworks):
    """A framework without checks of its own: that it imports, and a word that no more was proven."""
    module = name.replace("-", "_")
    if not probe.check(name + " import", lambda: __import__(module) and None):
        return
    said = getattr(sys.modules[module], "__version__", None)
    if said is not None:  # where it is silent, its metadata was compared
        probe.check(name + " version", check_version, probe, name, said)
    through, devices = BENEATH.get(name, (None, ()))
    if through not in frameworks or probe.want not in devices:
        probe.unproven.append("%s was imported; nothing that it computes was compared" % name)


def run_own(probe, own):
    """The user's own check, {"name", "script": zlib, base64}, in a process of its own: passed when it ends with 0."""
    folder = tempfile.mkdtemp(dir=probe.scratch)
    path = os.path.join(folder, os.path.basename(own["name"]) or "check.py")
    with open(path, "wb") as stream:
        stream.write(zlib.decompress(base64.b64decode(own["script"].encode("ascii"))))
    with open(os.path.join(folder, ".said"), "w+b") as said:
        child = subprocess.Popen([sys.executable, "-B", path], cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        late, until = False, clock() + (own.get("seconds") or OWN_SECONDS)
        while child.poll() is None and not late:
            time.sleep(0.05)
            late = clock() > until
        if late:
            child.kill()
        code = child.wait()
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").splitlines()
    sys.stderr.write("".join(line + "\n" for line in lines))
    probe.own = {"name": own["name"], "exit_code": None if late else code, "lines": lines[-OWN_LINES:]}
    last = [line.strip() for line in lines if line.strip()][-1:]
    detail = "; it last said: ".join(["did not end in time" if late else "exit code %d" % code] + last)
    if late or code:
        raise Wrong(detail)
    return detail


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
