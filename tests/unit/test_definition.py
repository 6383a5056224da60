"""``apptainer.def``: read as Apptainer's parser reads it, its scripts as a shell does, compared with the Dockerfile.

How it reads: https://github.com/apptainer/apptainer/blob/main/pkg/build/types/parser/deffile.go (2026-11-24).
"""

import os
import re
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_locks import ALL, CUDA, SLIM, THEANO, VENDOR, lock

from envsolve import extras
from envsolve.definition import definition, one_pin
from envsolve.engine import select
from envsolve.engine.apptainer import (
    build_words,
    image_file,
    probe_words,
    refuse_other_platform,
    run_words,
    staged_definition,
)
from envsolve.engine.base import BuildSettings, Built
from envsolve.engine.context import staged
from envsolve.engine.run import Run
from envsolve.errors import NotReadyError, UsageError
from envsolve.folder import write
from envsolve.lock.vendoring import Foundation, Vendored
from envsolve.models import LockedImage
from envsolve.pipeline import rendered
from envsolve.render import foundation_files, render
from envsolve.repairs import fitting

SHA = "sha256:" + "cd" * 32
COPIED = lock(
    image=LockedImage(
        reference="ubuntu:16.04", python_image="python:3.6.9-slim-jessie", python_digest=SHA, executable="python3.6"
    )
)
LOCKS = {**ALL, "copied": COPIED}
SECTIONS = {"setup", "files", "post", "environment", "runscript", "test", "labels"}
SCRIPTS = ("setup", "post", "environment", "runscript", "test")


def stages(text):
    """(header, [(first line, body)]) of each stage."""
    found = []
    for part in re.split(r"(?mi)^(?=bootstrap:)", text)[1:]:
        lines, header, sections = part.splitlines(), {}, []
        for line in lines:
            if (line.split() or [""])[0].startswith("%"):
                sections.append((line.strip(), []))
            elif sections:
                sections[-1][1].append(line)
            elif line.strip() and not line.startswith("#"):
                key, _, value = line.partition(":")
                header[key] = value.strip()
        found.append((header, [(first, "\n".join(body) + "\n") for first, body in sections]))
    return found


def stage(text, name):
    return next(sections for header, sections in stages(text) if header["Stage"] == name)


def section(text, name, title):
    return "".join(body for first, body in stage(text, name) if first == f"%{title}")


@pytest.mark.parametrize("name", LOCKS)
def test_it_is_what_apptainer_reads(name):
    text = definition(LOCKS[name])
    assert "{{" not in text  # would be replaced
    assert [header["Stage"] for header, _ in stages(text)][-2:] == ["build", "final"]
    for header, sections in stages(text):
        assert set(header) == {"Bootstrap", "From", "Stage"}
        for first, body in sections:
            assert first.removeprefix("%").split()[0] in SECTIONS
            assert len(body) < 60_000  # what its scanner takes
            if first.removeprefix("%") in SCRIPTS:
                subprocess.run(["sh", "-n"], input=body, text=True, check=True)


def said(script):
    """A script's words without line ends and comments."""
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("#"))
    return " ".join(" ".join(lines).replace("\\ ", " ").split())


@pytest.mark.parametrize("name", LOCKS)
def test_its_steps_are_the_dockerfiles(name):
    text = definition(LOCKS[name])
    every = " ".join(said(body) for _, sections in stages(text) for first, body in sections if first == "%post")
    runs = re.findall(r"(?m)^RUN ((?:.*\\\n|[ ]*#.*\n)*.*)$", render(LOCKS[name])["Dockerfile"])
    assert len(runs) > 4
    for run in runs:
        assert said(run) in every


def test_a_copied_python_comes_from_its_own_stage():
    text = definition(COPIED)
    assert [header["From"] for header, _ in stages(text)] == [f"python@{SHA}", "ubuntu:16.04", "ubuntu:16.04"]
    for name in ("build", "final"):
        assert section(text, name, "files from python").split() == ["/copied.tar", "/copied.tar"]
        assert "tar -C / -xf /copied.tar" in section(text, name, "post")
    other = definition(COPIED, base="m.example/ubuntu:x@" + SHA, python_image="m.example/library/python:3.6")
    assert [header["From"] for header, _ in stages(other)][:2] == [
        "m.example/library/python:3.6",
        f"m.example/ubuntu@{SHA}",
    ]
    assert f"org.opencontainers.image.base.digest {SHA}\n" in other
    assert definition(COPIED) == text


def test_signing_keys_are_fetched_apart():
    text = definition(CUDA)
    assert "ca.crt" in section(text, "keys", "setup")
    for name in ("build", "final"):
        assert section(text, name, "files from keys").count("/etc/apt/trusted.gpg.d/") == len(CUDA.image.apt_keys)
    assert "gpg" not in section(text, "final", "post").replace("trusted.gpg.d", "")


def test_vendored_files_take_the_place_of_the_network():
    names = list(foundation_files(THEANO))
    text = definition(THEANO, Vendored(Foundation(names[0], names[-1], (), 1)))
    assert [header["Bootstrap"] for header, _ in stages(text)] == ["docker-archive", "docker-archive"]
    assert [header["From"] for header, _ in stages(text)] == [f"vendor/image.tar:{n}" for n in (names[-1], names[0])]
    assert "apt-get" not in text
    assert "--no-index" in text
    assert "PIP_INDEX_URL" not in section(text, "build", "setup")
    files = section(text, "build", "files")
    assert all(f"vendor/{p.filename} /build/vendor/{p.filename}\n" in files for p in THEANO.packages)
    assert "apt-get" in definition(THEANO, Vendored(None))
    bad = THEANO.packages[-1].model_copy(update={"filename": "a b /etc/passwd"})
    with pytest.raises(UsageError):
        definition(THEANO.model_copy(update={"packages": (*THEANO.packages[:-1], bad)}), Vendored(None))


def test_a_vendors_packages_stay():
    found = section(definition(VENDOR), "final", "environment")
    assert 'export PYTHONPATH="/opt/envsolve/site${PYTHONPATH:+:$PYTHONPATH}"' in found
    assert "unset" not in found
    assert "unset PYTHONPATH" in section(definition(SLIM), "final", "environment")


@pytest.mark.parametrize(("reference", "found"), [
    ("python:3.6", "python:3.6"), (f"python:3.6@{SHA}", f"python@{SHA}"),
    (f"host:5000/a/b:1@{SHA}", f"host:5000/a/b@{SHA}"), (f"host:5000/b@{SHA}", f"host:5000/b@{SHA}"),
])  # fmt: skip
def test_a_tag_beside_a_digest_goes(reference, found):
    assert one_pin(reference) == found


def test_settings_of_the_machine_reach_the_build_stage_alone(tmp_path):
    """The script that Apptainer runs outside, run."""
    text, url = definition(SLIM), "https://u:it's$(id)\"`x`@index.example/simple"
    (tmp_path / "ca.crt").write_text("CERTIFICATE")
    for name, folder, kept in (("build", "build", True), ("final", "envsolve-settings", False)):
        root = tmp_path / name
        root.mkdir()
        subprocess.run(
            ["sh", "-e", "-c", section(text, name, "setup")], check=True, cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "APPTAINER_ROOTFS": str(root), "PIP_INDEX_URL": url, "https_proxy": "p:1"},
        )  # fmt: skip
        assert (root / folder / "ca.crt").exists() is kept
        done = subprocess.run(
            ["sh", "-uc", '. ./settings; printf "%s|%s" "$https_proxy" "${PIP_INDEX_URL:-none}"'],
            check=True, cwd=root / folder, env={}, text=True, capture_output=True,
        )  # fmt: skip
        assert done.stdout == f"p:1|{url if kept else 'none'}"
    assert "rm -r /install.tar /envsolve-settings" in section(text, "final", "post")
    assert all("set +x\n" in body for _, s in stages(text) for first, body in s if first in ("%setup", "%post"))


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.text(max_size=20), st.sampled_from(["{{ x }}", "$(id)", "`id`", "'", "a\n%post\nid", "%post", "'{{'"]))
)
def test_a_variable_comes_through_or_is_refused(value):
    one = THEANO.model_copy(update={"environment": {"THEANO_FLAGS": value}})
    try:
        text = definition(one)
    except UsageError:
        assert any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in value)
        return
    assert not re.search(r"{{\s*\w+\s*}}", text)
    (line,) = [line for line in section(text, "final", "environment").splitlines() if "THEANO_FLAGS" in line]
    assert shlex.split(line) == ["export", f"THEANO_FLAGS={value}"]


@pytest.mark.parametrize("text", ["{{ x }}", "a\nBootstrap: docker", " a", "\x07"])
def test_a_label_that_cannot_stand_there_is_refused(text):
    stack = SLIM.stack.model_copy(update={"verdict": text})
    with pytest.raises(UsageError) as caught:
        definition(SLIM.model_construct(**{**dict(SLIM), "stack": stack}))
    assert caught.value.code == "bad-lock"


# -- the engine, as far as it goes without an apptainer ----------------------------------------------------------------


def test_without_the_command_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReadyError) as caught:
        select("apptainer")
    assert caught.value.code == "no-engine"
    assert any("install apptainer" in hint for hint in caught.value.hints)
    assert any("--apptainer" in hint for hint in caught.value.hints)


def test_what_is_built_lies_beside_the_folder(tmp_path):
    assert image_file(tmp_path / "envsolve") == tmp_path / "envsolve.sif"
    words = build_words("apptainer", tmp_path / "x.sif", BuildSettings(pull=True))
    assert {"--notest", "--disable-cache"} <= set(words)
    assert words[-2:] == [str(tmp_path / "x.sif"), "apptainer.def"]


def test_another_processor_is_refused():
    refuse_other_platform(SLIM, BuildSettings())
    with pytest.raises(NotReadyError) as caught:
        refuse_other_platform(SLIM, BuildSettings(platform="linux/s390x"))
    assert caught.value.code == "other-platform"


def test_an_edited_definition_is_the_one_that_is_built(tmp_path):
    folder = tmp_path / "folder"
    write(folder, rendered(SLIM, folder, (extras.APPTAINER,)))
    with staged(folder, BuildSettings()) as context:
        text = staged_definition(folder, context, SLIM, BuildSettings())
        assert (context / "apptainer.def").read_text() == text
        assert text.startswith((folder / "apptainer.def").read_text())
        assert re.search(r"(?m)^    dev\.envsolve\.made-of [0-9a-f]{64}$", text)
    (folder / "apptainer.def").write_text(definition(SLIM) + "# mine\n")
    with staged(folder, BuildSettings()) as context:
        assert "# mine" in staged_definition(folder, context, SLIM, BuildSettings())
    with staged(folder, BuildSettings(base="m.example/p:1")) as context:
        assert "From: m.example/p:1\n" in staged_definition(folder, context, SLIM, BuildSettings(base="m.example/p:1"))


def test_how_it_is_run(tmp_path):
    built = Built("apptainer", "/x.sif")
    words = probe_words("apptainer", built, SLIM, tmp_path, ("--x",))
    assert {"--containall", "--network=none"} <= set(words)
    assert "--nv" not in words
    assert "--nv" in probe_words("apptainer", built, VENDOR, tmp_path, ())
    here, cache = '/a,b "c"', tmp_path / "cache"
    words = run_words(
        "apptainer", built, VENDOR, Run(("python", "x.py"), ("1",), fitting(VENDOR)), here, tmp_path, cache
    )
    assert '"source=/a,b ""c"""' in words[words.index("--mount") + 1]
    assert "CUDA_VISIBLE_DEVICES=1" in words
    assert words[-2:] == ["python", "x.py"]
    words = run_words("apptainer", built, VENDOR, Run((), None, fitting(VENDOR)), "/w", tmp_path, None)
    assert "--nv" not in words
    assert "CUDA_VISIBLE_DEVICES=-1" in words
