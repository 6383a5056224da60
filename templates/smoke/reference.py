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
