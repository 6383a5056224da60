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

found = probe.Probe({}, "/nowhere")
assert probe.check_numpy(found)[1] < 1e-6
true_dot = np.dot
np.dot = lambda a, b: true_dot(a, b) + (np.asarray(a).dtype == np.float32)  # what a broken BLAS kernel does
must_be_wrong(probe.check_numpy, found)
print("references hold")
