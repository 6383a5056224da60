"""Words become requests, or errors that say what to type instead."""

import itertools
from datetime import date

import pytest

from envsolve.errors import Exit, UsageError
from envsolve.matrices import load
from envsolve.names import edits, nearest_versions, typo_of
from envsolve.request import build_request

FACTS = load()


def ask(*words, **options):
    return build_request(list(words), FACTS, **options)


def error(*words, **options):
    with pytest.raises(UsageError) as caught:
        ask(*words, **options)
    assert caught.value.exit_code == Exit.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("word", "name", "specifier"),
    [
        ("tf==1.4", "tensorflow", "==1.4.*"),
        ("tf", "tensorflow", ""),
        ("keras==2.0.8", "keras", "==2.0.8"),
        ("TensorFlow==1.4.0", "tensorflow", "==1.4.0"),
        ("tensorflow-gpu>=1.4,<1.8", "tensorflow", ">=1.4,<1.8"),
        ("tensorflow_gpu == 1.4", "tensorflow", "==1.4.*"),
        ("pytorch~=1.7", "torch", "~=1.7"),
        ("tf==1.4.*", "tensorflow", "==1.4.*"),
        ("theano>0.8", "theano", ">0.8"),
        ("tf==v1.4", "tensorflow", "==1.4.*"),
    ],
)
def test_a_framework(word, name, specifier):
    (target,) = ask(word).targets
    assert (target.text, target.name, target.specifier, target.framework) == (word, name, specifier, True)


def test_a_package_name_is_kept_as_typed_and_forces_nothing():
    request = ask("tensorflow-gpu==1.4")
    assert request.targets[0].text == "tensorflow-gpu==1.4"
    assert request.require_gpu is False


@pytest.mark.parametrize(
    "word",
    ["numpy==1.16.4", "tensorboard", "torchvision", "keras-rl", "keras-applications==1.0.2", "tensorflow-hub",
     "tensorflow-probability", "tensorflowjs", "torchx", "h5py<3", "Pillow", "scikit_learn", "keras-contrib"],
)  # fmt: skip
def test_a_companion_is_not_taken_for_a_typo(word):
    companion = ask("tf==1.4", word).targets[1]
    assert not companion.framework
    assert companion.name == companion.name.lower().replace("_", "-")


def test_extras():
    assert ask("tf==1.4", "requests[Security, socks]").targets[1].extras == ("security", "socks")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["tf=1.4"], "envsolve tf==1.4"),
        (["tf=1.4", "keras==2.0.8"], "envsolve tf==1.4 keras==2.0.8"),
        (["tf:1.4"], "envsolve tf==1.4"),
        (["tf@1.4"], "envsolve tf==1.4"),
        (["tf-1.4"], "envsolve tf==1.4"),
        (["tf1.4"], "envsolve tf==1.4"),
        (["tf 1.4"], "envsolve tf==1.4"),
        (["tf==1.4.x"], "envsolve tf==1.4"),
        (["tf=>1.4"], "envsolve 'tf>=1.4'"),
        (["tf", "1.4"], "envsolve tf==1.4"),
        (["keras==2.0.8", "tf", "1.4.1"], "envsolve keras==2.0.8 tf==1.4.1"),
    ],
)
def test_a_slip_is_answered_by_the_whole_command(words, hint):
    caught = error(*words)
    assert (caught.code, caught.hints) == ("bad-requirement", (hint,))


def test_the_hint_keeps_the_options():
    caught = error("tf=1.4", gpu=("RTX 3090",), driver="535.104", accept=("jit",))
    assert caught.hints == ("envsolve tf==1.4 --gpu 'RTX 3090' --driver 535.104 --accept jit",)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("tensorfow==1.4", "envsolve tensorflow==1.4"),
        ("tensroflow==1.4", "envsolve tensorflow==1.4"),
        ("kreas==2.0.8", "envsolve keras==2.0.8"),
        ("pytoch", "envsolve pytorch"),
        ("thaeno==0.9", "envsolve theano==0.9"),
        ("keraas", "envsolve keras"),
    ],
)
def test_a_typo_in_a_name(word, hint):
    caught = error(word)
    assert (caught.code, caught.hints) == ("unknown-framework", (hint,))


@pytest.mark.parametrize(
    ("word", "near"),
    [("tf==1.4.7", "tf==1.4.1"), ("tf==1.99", "tf==1.15."), ("keras==2.0.99", "keras==2.0."), ("tf>=99", "tf==2.")],
)
def test_a_version_that_never_existed(word, near):
    caught = error(word)
    assert caught.code == "unknown-version"
    assert caught.hints[0].startswith(f"envsolve {near}")
    for hint in caught.hints:
        ask(hint.split()[1])


def test_a_local_version_that_the_database_lacks_offers_the_plain_one():
    assert error("torch==1.7.1+cu999").hints[0] == "envsolve torch==1.7.1"


def test_targets_that_exclude_each_other_are_named():
    caught = error("tf==1.4", "tensorflow==1.5")
    assert caught.code == "contradictory-targets"
    assert "tf==1.4 and tensorflow==1.5" in caught.message
    assert error("tf==1.4", "numpy==1.16.4", "numpy==1.14.0").code == "contradictory-targets"


def test_targets_that_agree_are_kept_and_a_repetition_counts_once():
    assert len(ask("tf>=1.4", "tf<1.8").targets) == 2
    assert len(ask("tf==1.4", "tf==1.4").targets) == 1


@pytest.mark.parametrize("words", [["numpy==1.16.4"], ["requests"]])
def test_without_a_framework_there_is_nothing_to_solve(words):
    assert error(*words).code == "no-framework"


@pytest.mark.parametrize("words", [[], [""], ["  "]])
def test_nothing_asked(words):
    assert error(*words).code == "nothing-asked"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"driver": "abc"}, "bad-driver"),
        ({"driver": "535."}, "bad-driver"),
        ({"driver": ""}, "bad-driver"),
        ({"python": "36"}, "bad-python"),
        ({"python": "three"}, "bad-python"),
        ({"accept": ("slow",)}, "bad-accept"),
        ({"backend": "lxc"}, "bad-backend"),
        ({"as_of": "yesterday"}, "bad-date"),
        ({"as_of": "2018-02-30"}, "bad-date"),
        ({"gpu": ("none", "V100")}, "contradictory-gpu"),
        ({"gpu": ("auto", "V100")}, "contradictory-gpu"),
        ({"gpu": ("none",), "require_gpu": True}, "contradictory-gpu"),
    ],
)
def test_a_bad_option(options, code):
    assert error("tf==1.4", **options).code == code


def test_options_arrive():
    request = ask(
        "tf==1.4", gpu=["sm_86", "V100"], driver="535.104", python="3.6", os="ubuntu16.04", accept=["jit", "jit"],
        as_of="2018-01-15", backend="local", require_gpu=True,
    )  # fmt: skip
    assert request.gpu == ("sm_86", "V100")
    assert request.accept == ("jit",)
    assert request.as_of == date(2018, 1, 15)
    assert (request.driver, request.python, request.os, request.backend) == ("535.104", "3.6", "ubuntu16.04", "local")


@pytest.mark.parametrize(
    "garbage", ["==", "=", "tf==", "tf==,", "[", "tf[", "é==1", "tf==1.4;x", "-", ",", "tf===", "\0"]
)
def test_garbage_is_a_usage_error(garbage):
    assert error(garbage).code in ("bad-requirement", "unknown-version", "no-framework")


# -- requirements files --------------------------------------------------------------------------------------


def test_a_requirements_file(tmp_path):
    (tmp_path / "more-requirements.txt").write_text("numpy>=1.13\n")
    path = tmp_path / "requirements-old.txt"
    path.write_text(
        "# what it needs\n-i https://example.invalid/simple\ntensorflow==1.4  # with pip's meaning\n\n"
        "keras \\\n  ==2.0.8 --hash=sha256:00\n-r more-requirements.txt\nenum34; python_version < '2'\n"
    )
    targets = ask(str(path)).targets
    assert [(t.name, t.specifier) for t in targets] == [
        ("tensorflow", "==1.4.0"), ("keras", "==2.0.8"), ("numpy", ">=1.13")
    ]  # fmt: skip
    assert [t.origin for t in targets] == [f"{path}:3", f"{path}:5", f"{tmp_path / 'more-requirements.txt'}:1"]
    assert targets[0].text == "tensorflow==1.4.0"


def test_a_condition_on_the_python_needs_one(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("tensorflow==1.4.0\nfutures; python_version < '3'\n")
    assert error(str(path)).code == "python-needed"
    assert len(ask(str(path), python="2.7").targets) == 2
    assert len(ask(str(path), python="3.6").targets) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tensorfow==1.4.0\n", "unknown-framework"),
        ("tensorflow==1.4.7\n", "unknown-version"),
        ("tensorflow=1.4.0\n", "bad-requirement"),
        ("git+https://example.invalid/x.git\n", "bad-requirement"),
        ("-e .\n", "bad-requirement"),
        ("keras @ https://example.invalid/k.whl\n", "bad-requirement"),
        ("tensorflow; nonsense\n", "bad-requirement"),
    ],
)
def test_a_bad_line_is_named_with_its_place(tmp_path, text, code):
    path = tmp_path / "requirements.txt"
    path.write_text(f"keras==2.0.8\n{text}")
    caught = error(str(path))
    assert caught.code == code
    assert f"{path}:2" in caught.message


def test_files_that_cannot_be_read(tmp_path):
    assert error(str(tmp_path / "requirements.txt")).code == "no-such-file"
    assert error(str(tmp_path)).code == "is-a-folder"
    binary = tmp_path / "requirements.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    assert error(str(binary)).code == "unreadable-file"
    circle = tmp_path / "requirements-circle.txt"
    circle.write_text("-r requirements-circle.txt\n")
    assert error(str(circle)).code == "unreadable-file"


# -- names ---------------------------------------------------------------------------------------------------


def slow_edits(a, b):
    """Distance by the definition, without a table."""
    if not a or not b:
        return len(a) + len(b)
    options = [slow_edits(a[1:], b) + 1, slow_edits(a, b[1:]) + 1, slow_edits(a[1:], b[1:]) + (a[0] != b[0])]
    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
        options.append(slow_edits(a[2:], b[2:]) + 1)
    return min(options)


def test_edits_agree_with_the_definition():
    words = ["".join(w) for n in range(4) for w in itertools.product("ab", repeat=n)]
    for a, b in itertools.product(words, words):
        assert edits(a, b, 9) == slow_edits(a, b), (a, b)


def test_no_name_that_the_database_knows_is_a_typo_of_another_when_removed():
    """The rule must not turn one real framework into another."""
    for name in FACTS.aliases:
        others = [n for n in FACTS.aliases if FACTS.aliases[n] != FACTS.aliases[name]]
        assert typo_of(name, others) is None, name


def test_nearest_versions_prefer_the_same_series():
    known = ["1.0.0", "1.3.0", "1.4.0", "1.4.1", "1.5.0", "2.0.0", "1.4.2rc1"]
    assert nearest_versions("==1.4.7", known) == ["1.4.1", "1.4.0", "1.5.0"]
    assert nearest_versions("==9", known, 1) == ["2.0.0"]
    assert nearest_versions("", known, 2) == ["2.0.0", "1.5.0"]
