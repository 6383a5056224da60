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
