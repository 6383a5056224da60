"""Runs inside an environment: every new check of a framework passes, and sees its framework compute wrongly.

python check_probe.py FOLDER-OF-SMOKE.PY FRAMEWORK
"""
# ruff: noqa: UP010, UP031, C402

from __future__ import division, print_function

import shutil
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import smoke as probe

framework = sys.argv[2]
scratch = tempfile.mkdtemp()
sys.path.remove(sys.argv[1])


def scaled(result):
    """What a kernel that is one percent off gives, one result or several."""
    if isinstance(result, dict):  # Theano's updates
        return result
    return [scaled(part) for part in result] if isinstance(result, (list, tuple)) else result * 1.01


def off(function):
    def wrong(*arguments, **options):
        result = function(*arguments, **options)
        return tuple(scaled(result)) if isinstance(result, tuple) else scaled(result)

    return wrong


def nothing(_):
    """A function that does nothing."""
    return lambda *arguments, **options: None


def mxnet_loaded(function):
    def wrong(*arguments):
        symbol, params, states = function(*arguments)
        return symbol, dict((name, value * 1.01) for name, value in params.items()), states

    return wrong


def cases():
    """(check, its arguments, object, attribute, what is wrong with it then)."""
    if framework == "mxnet":
        import mxnet as it

        yield probe.mxnet_matmul, (it,), it.nd, "dot", off
        yield probe.mxnet_convolution, (it,), it.sym, "Convolution", off
        yield probe.mxnet_norm, (it,), it.sym, "BatchNorm", off
        yield probe.mxnet_cell, (it,), it.sym, "Activation", off
        yield probe.mxnet_training, (it,), it.sym, "Activation", off
        yield probe.mxnet_save_load, (it,), it.model, "load_checkpoint", mxnet_loaded
    elif framework == "chainer":
        it = probe.chainer_import()
        yield probe.chainer_matmul, (it,), it.functions, "matmul", off
        yield probe.chainer_convolution, (it,), it.functions, "convolution_2d", off
        yield probe.chainer_norm, (it,), it.functions, "batch_normalization", off
        yield probe.chainer_cell, (it,), it.functions, "lstm", off
        yield probe.chainer_training, (it,), it.functions, "tanh", off
        yield probe.chainer_save_load, (it,), it.serializers, "load_npz", nothing
    elif framework == "cntk":  # needs OpenMPI's libmpi.so.12 and libmpi_cxx.so.1 on the loader's path
        import cntk as it

        yield probe.cntk_matmul, (it,), it, "times", off
        yield probe.cntk_convolution, (it,), it, "convolution", off
        yield probe.cntk_norm, (it,), it, "batch_normalization", off
        yield probe.cntk_cell, (it,), it, "tanh", off
        yield probe.cntk_training, (it,), it, "tanh", off
        yield probe.cntk_save_load, (it,), it.Function, "load", off
    elif framework == "jax":
        it = probe.jax_import()
        yield probe.jax_matmul, (it,), it.numpy, "dot", off
        yield probe.jax_convolution, (it,), it.lax, "conv_general_dilated", off
        yield probe.jax_norm, (it,), it.numpy, "sqrt", off
        yield probe.jax_cell, (it,), it.lax, "scan", off
        yield probe.jax_training, (it,), it.numpy, "tanh", off
    elif framework == "torch":
        import torch as it

        yield probe.torch_norm, (it,), it.nn.functional, "batch_norm", off
        yield probe.torch_cell, (it,), it.nn.LSTM, "forward", off
        yield probe.torch_matmul, (it,), it.Tensor, "matmul", off
        yield probe.torch_convolution, (it,), it.nn.functional, "conv2d", off
        yield probe.torch_training, (it,), it, "tanh", off
    elif framework == "tensorflow":
        import tensorflow as it

        eager = int(it.__version__.split(".")[0]) >= 2
        norms = it.compat.v1.nn if eager else it.nn
        yield probe.tensorflow_matmul, (it, eager), it, "matmul", off
        yield probe.tensorflow_convolution, (it, eager), it.nn, "conv2d", off
        yield probe.tensorflow_norm, (it, eager), norms, "fused_batch_norm", off
        yield probe.tensorflow_training, (it, eager), it, "tanh", off
        owner, name = (it.keras.layers.LSTM, "call") if eager else (it.nn, "dynamic_rnn")
        yield probe.tensorflow_cell, (it, eager), owner, name, off
    elif framework == "keras":
        it = probe.keras_import()
        major = int(it.__version__.split(".")[0])
        yield probe.keras_norm, (it,), it.backend, "batch_normalization", off
        yield probe.keras_cell, (it, major), it.backend, "rnn", off
    elif framework == "theano":
        it = probe.theano_import()
        norm = (
            "batch_normalization_train"
            if hasattr(it.tensor.nnet.bn, "batch_normalization_train")
            else "batch_normalization"
        )
        yield probe.theano_norm, (it,), it.tensor.nnet.bn, norm, off
        yield probe.theano_cell, (it,), it, "scan", off
    elif framework == "onnxruntime":
        import onnxruntime as it

        yield probe.onnx_matmul, (it,), it.InferenceSession, "run", off
        yield probe.onnx_convolution, (it,), it.InferenceSession, "run", off


try:
    seen = 0
    for check, arguments, owner, name, breaking in cases():
        found = probe.Probe({"device": "cpu"}, scratch)
        check(found, *arguments)
        right = getattr(owner, name)
        setattr(owner, name, breaking(right))
        try:
            check(found, *arguments)
        except probe.Wrong as wrong:
            print("%s saw: %s" % (check.__name__, wrong))
            seen += 1
        else:
            raise AssertionError("%s saw nothing wrong with %s" % (check.__name__, name))
        finally:
            setattr(owner, name, right)
    print("%s: %d checks hold" % (framework, seen))
    assert seen
finally:
    shutil.rmtree(scratch, ignore_errors=True)
