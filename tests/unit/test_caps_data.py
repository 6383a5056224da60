"""The caps' rows: that the limits known beforehand are there, and that each can be found by its own text."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from packaging.version import Version

from envsolve.causes_text import command
from envsolve.lock.capping import CapBook
from envsolve.matrices import load
from envsolve.request import build_request
from envsolve.symptoms import SymptomBook, read_symptom

ROOT = Path(__file__).parents[2]

KNOWN: tuple[tuple[str, tuple[str, ...] | str], ...] = (
    ("protobuf 4", ("protobuf-tensorflow", "protobuf-tensorboard", "protobuf-generated")),
    ("h5py 3", ("h5py-keras", "h5py-tensorflow")),
    ("keras unpinned beside an old TensorFlow", ("keras-too-new", "keras-too-new-python2")),
    ("keras 2.2 on TensorFlow 2", ("keras-tensorflow-2",)),
    ("keras 2.3 beside TensorFlow 2.5", ("keras-tensorflow-2.5",)),
    ("numpy 1.24 aliases", ("numpy-aliases", "numpy-tensorflow-aliases")),
    ("numpy 2", ("numpy-2-names", "numpy-2-compiled", "numpy-2-torch", "numpy-2-tensorboard")),
    ("numpy allow_pickle", ("numpy-allow-pickle", "numpy-pickle-keras", "numpy-pickle-tensorflow")),
    ("numpy qint warning", ("numpy-qint-warning",)),
    ("numpy 1.20 and symbolic tensors", ("numpy-tensorflow-rnn",)),
    ("numpy of TensorFlow 1.10", "the wheel's metadata declares it: a lock follows"),
    ("theano and numpy 1.22", ("numpy-theano",)),
    ("lasagne and theano 0.9", ("theano-lasagne", "theano-downsample")),
    ("scipy.misc images", ("scipy-misc-image",)),
    ("scipy.misc functions", ("scipy-misc-special",)),
    ("PILLOW_VERSION", ("pillow-torchvision", "pillow-version")),
    ("Image.ANTIALIAS", ("pillow-antialias",)),
    ("sklearn.externals", ("scikit-learn-externals",)),
    ("sklearn.cross_validation", ("scikit-learn-cross-validation",)),
    ("pickled estimators", ("scikit-learn-private-modules", "scikit-learn-unpickle")),
    ("the name sklearn", ("sklearn-name",)),
    ("pandas .ix and Panel", ("pandas-ix", "pandas-panel")),
    ("pickled frames", ("pandas-pickles-0.20", "pandas-pickles")),
    ("gast 0.3", ("gast-tensorflow",)),
    ("markupsafe soft_unicode", ("markupsafe-jinja2",)),
    ("werkzeug url_quote", ("werkzeug-urls", "werkzeug-flask-1", "werkzeug-flask-2", "itsdangerous-flask")),
    ("PyYAML and Cython 3", ("pyyaml-cython3",)),
    ("yaml.load without a Loader", ("pyyaml-keras", "pyyaml-load")),
    ("use_2to3", ("setuptools-2to3",)),
    ("gym's extras_require", ("setuptools-gym", "setuptools-extras")),
    ("setuptools of TensorFlow 1.9", "the wheel's metadata declares it: a lock follows"),
    ("pkg_resources", ("setuptools-pkg-resources", "setuptools-tensorboard")),
    ("Cython 3", ("build-cython3",)),
    ("tensorflow-gpu's stub", ("tensorflow-gpu-stub",)),
    ("nvidia-tensorflow's stub", ("nvidia-tensorflow-stub",)),
    ("CUDA by exact name", ("cuda-8.0-libraries", "cuda-9.0-libraries", "cuda-10.0-libraries")),
    ("CUDA not loaded, silently", ("cuda-dso", "tensorflow-cuinit")),
    ("cuDNN older than compiled", ("cudnn-version",)),
    ("AVX", ("tensorflow-avx", "illegal-instruction")),
    ("glibc", ("glibc-version", "glibcxx-version")),
    ("pip 18 and PIP_NO_CACHE_DIR", ("pip-no-cache-dir",)),
    ("pip too old for the wheel", ("pip-no-version",)),
    ("grpcio and opencv built from source", ("pip-builds-from-source", "grpcio-python2", "grpcio-python3.5")),
    ("matplotlib built from source", ("pip-builds-from-source",)),
    ("importlib-metadata 5", ("importlib-metadata-gym", "importlib-metadata-get")),
    ("scikit-image and numpy 1.16", ("numpy-scikit-image",)),
    (
        "html5lib and bleach of TensorFlow 1.3",
        "the wheel's metadata declares it, and a clash with jupyter is told as one",
    ),
    ("torch.utils.ffi", ("torch-ffi",)),
    ("checkpoints of Python 2", ("python2-pickles",)),
    ("weights_only", ("torch-weights-only",)),
    ("async", ("python-async-keyword", "tensorflow-async")),
    ("collections", ("python-collections-abc",)),
    ("combinations that work", "they are no limits: tests and examples hold them"),
)
"""Limits known from the field: the caps that state each, or why none does."""


@pytest.fixture(scope="module")
def facts():
    return load(ROOT / "matrices")


def texts_of(cap):
    return [text for text in (cap.symptom, *cap.symptoms) if text]


def test_what_is_known_from_the_field_is_there(facts):
    ids = {cap.id for cap in facts.caps}
    assert len(KNOWN) == 53
    missing = {known: [i for i in caps if i not in ids] for known, caps in KNOWN if isinstance(caps, tuple)}
    assert not {known: gone for known, gone in missing.items() if gone}


def met(text):
    """A symptom as somebody would meet it: the placeholders filled, of alternatives the last."""
    text = text.replace("{...}", "some more words").replace("{}", "X1").replace("*", "9")
    return re.sub(r"\{(?:[^{}]*\|)?([^{}|]*)\}", r"\1", text.replace("{?", "{"))


def test_every_cap_is_found_by_each_of_its_texts(facts):
    book = SymptomBook({cap.id: texts_of(cap) for cap in facts.caps if texts_of(cap)})
    lost = [(c.id, t) for c in facts.caps for t in texts_of(c) if c.id not in book.seen(book.text(met(t)))]
    assert not lost


def test_no_demand_of_a_persons_own_code_is_applied_to_a_lock(facts):
    book = CapBook(facts.caps, frozenset())
    everything = {w: Version("1") for cap in facts.caps for w in (cap.package, *(x.package for x in cap.when)) if w}
    applied = [*book.rules_about(), *book.settled(everything), *(c for n in everything for c in book.drops(n))]
    assert len(applied) > 40
    assert not [cap.id for cap in applied if cap.kind == "api"]
    assert not [n for n in everything for c in facts.caps if c.kind == "api" and c.requires]


def test_commands_are_requests_that_can_be_read(facts):
    read = 0
    for cap in facts.caps:
        line = command(cap, facts, None)
        if line is None or "TARGET..." in line:
            continue
        words = shlex.split(line)[1:]
        if "--python" in words:
            del words[words.index("--python") : words.index("--python") + 2]
        assert build_request(words, facts).targets, cap.id
        read += 1
    assert read > 30


def test_a_fix_says_something_that_can_be_done(facts):
    for cap in facts.caps:
        if cap.kind == "api":
            assert cap.fix or cap.versions, cap.id
        assert cap.fix is None or not re.search(r"[.!]$", cap.fix), cap.id


def test_no_two_texts_of_a_cap_read_the_same(facts):
    for cap in facts.caps:
        pieces = [read_symptom(text).pieces for text in texts_of(cap)]
        assert len(pieces) == len(set(pieces)), cap.id
