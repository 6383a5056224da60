"""Runs inside an old environment: are the probe's own references right, and does it see what is wrong?"""
# ruff: noqa: UP010, UP031, B905

from __future__ import division, print_function

import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import smoke as probe


def naive_correlation(x, w):
    out = np.zeros((x.shape[0], x.shape[1] - w.shape[0] + 1, x.shape[2] - w.shape[1] + 1, w.shape[3]))
    for place in np.ndindex(*out.shape):
        n, r, c, k = place
        out[place] = (x[n, r : r + w.shape[0], c : c + w.shape[1], :].astype("float64") * w[..., k]).sum()
    return out


def loss(weights, x, y):
    hidden = np.tanh(x.dot(weights[0]) + weights[1]) if len(weights) == 4 else x
    scores = hidden.dot(weights[-2]) + weights[-1]
    return -(y * (scores - np.log(np.exp(scores).sum(1, keepdims=True)))).sum() / len(x)


def numeric_descent(weights, x, y, h=1e-6):
    weights = [w.astype("float64") for w in weights]
    changes = []
    for w in weights:
        change = np.zeros_like(w)
        for place in np.ndindex(*w.shape):
            kept = w[place]
            w[place] = kept + h
            above = loss(weights, x, y)
            w[place] = kept - h
            change[place] = -probe.RATE * (above - loss(weights, x, y)) / (2 * h)
            w[place] = kept
        changes.append(change)
    return changes


def must_be_wrong(function, *arguments):
    try:
        function(*arguments)
    except probe.Wrong:
        return
    raise AssertionError("%s saw nothing wrong" % function.__name__)


x, w = probe.images()
assert np.abs(probe.correlate(x, w) - naive_correlation(x, w)).max() < 1e-12
for layers in (1, 2):
    weights, inputs, labels = probe.network(layers)
    reference, numeric = probe.descend(weights, inputs, labels), numeric_descent(weights, inputs, labels)
    for ours, theirs in zip(reference, numeric):
        assert np.abs(ours - theirs).max() < 1e-7, layers
    again = probe.network(layers)
    assert all((a == b).all() for a, b in zip(again[0], weights))

right = np.arange(6.0).reshape(2, 3)
assert probe.compare(right + 1e-7, right, 1e-6, "x")[1] < 1e-6
for wrong in (right + 1e-3, right.T, np.where(right == 3, np.nan, right), np.where(right == 3, np.inf, right)):
    must_be_wrong(probe.compare, wrong, right, 1e-6, "x")

# Batch norm and recurrent layers, against plain loops over single values
x, scale, shift = probe.channels()
plain = np.zeros(x.shape)
for channel in range(3):
    values = x[..., channel].astype("float64")
    plain[..., channel] = (values - values.mean()) / (values.var() + probe.EPSILON) ** 0.5 * scale[channel] + shift[
        channel
    ]
assert np.abs(probe.normalized(x, scale, shift) - plain).max() < 1e-12


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


for gates in (1, 4):
    x, w, u, b = [array.astype("float64") for array in probe.sequences(gates)]
    plain = np.zeros((4, 7, 6))
    for n in range(4):
        hidden, cell = np.zeros(6), np.zeros(6)
        for t in range(7):
            z = [sum(x[n, t, i] * w[i, k] for i in range(5)) + sum(hidden[i] * u[i, k] for i in range(6)) + b[k]
                 for k in range(6 * gates)]  # fmt: skip
            z = np.array(z).reshape(gates, 6)
            if gates == 4:
                cell = sigmoid(z[1] + 1) * cell + sigmoid(z[0]) * np.tanh(z[2])
            hidden = sigmoid(z[3]) * np.tanh(cell) if gates == 4 else np.tanh(z[0])
            plain[n, t] = hidden
    ours = probe.lstm(x, w, u, b, "ifgo", 1.0) if gates == 4 else probe.recur(x, w, u, b)
    assert np.abs(ours - plain).max() < 1e-12, gates

# On a GPU the CPU of the same process is a second witness
found = probe.Probe({"device": "gpu"}, "/nowhere")
detail, error, allowed = found.agree("matmul", right, lambda device: right)
assert "from the CPU of this process by 0.0e+00" in detail
assert (error, allowed) == (0, probe.TOLERANCE["gpu"])
must_be_wrong(found.agree, "matmul", right, lambda device: right + (device == "cpu"))
must_be_wrong(found.agree, "matmul", right, lambda device: right + 1)

found = probe.Probe({}, "/nowhere")
assert "the CPU" not in found.agree("matmul", right, lambda device: right)[0]
must_be_wrong(found.agree, "matmul", right, lambda device: right + 1)
assert probe.check_numpy(found)[1] < 1e-6
true_dot = np.dot
np.dot = lambda a, b: true_dot(a, b) + (np.asarray(a).dtype == np.float32)  # what a broken BLAS kernel does
must_be_wrong(probe.check_numpy, found)
print("references hold")
