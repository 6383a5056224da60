"""What an engine's words mean. The texts are from real builds (dockerd 20.10, 29.1; buildx 0.30; pip 9 to 24)."""

from pathlib import Path

import pytest
from render_locks import SLIM

from envsolve.engine.context import BuildLog, build_arguments, secrets
from envsolve.engine.failures import build_failure, meaningful, start_failure
from envsolve.lock.pipconfig import ContainerSettings
from envsolve.talk import Talk

RAN = "The command '/bin/sh -c python -m pip install' returned a non-zero code: 1"
FROM = "Step 1/9 : FROM x"
STEP = " ---> Running in 0123456789ab"


def failure(lines, message=RAN):
    return build_failure(lines, message, SLIM, Path("/log/x.log"), "docker")


@pytest.mark.parametrize(
    ("lines", "message", "code", "exit_code"),
    [
        ([STEP, "OSError: [Errno 28] No space left on device"], RAN, "disk-full", 4),
        ([], "write /var/lib/docker/tmp/x: no space left on device", "disk-full", 4),
        ([FROM], "manifest for python:3.6.99 not found: manifest unknown: manifest unknown", "no-base-image", 4),
        ([FROM], "Get https://r.example/v2/: dial tcp: lookup r.example: no such host", "no-base-image", 4),
        ([FROM], "ERROR: failed to solve: python:3.6: failed to resolve source metadata for x", "no-base-image", 4),
        ([STEP, "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."], RAN, "hash-mismatch", 5),
        ([STEP, "Could not fetch URL https://i/simple/: connection error: [SSL: CERTIFICATE_VERIFY_FAILED]"], RAN,
         "untrusted-certificate", 5),
        ([STEP, "WARNING: Retrying: NewConnectionError(': Failed to establish a new connection')",
          "ERROR: No matching distribution found for six==1.11.0"], RAN, "index-unreachable", 5),
        ([STEP, "ERROR: No matching distribution found for six==1.11.0"], RAN, "build-failed", 5),
        ([STEP, "error: command 'gcc' failed with exit status 1"], RAN, "build-failed", 5),
        ([], "dockerfile parse error line 3: unknown instruction: FORM", "build-failed", 5),
    ],
)  # fmt: skip
def test_each_failure_has_its_code(lines, message, code, exit_code):
    error = failure(lines, message)
    assert (error.code, error.exit_code) == (code, exit_code)
    assert error.hints


def test_a_step_that_ran_is_not_taken_for_a_missing_base():
    error = failure([STEP, "E: Failed to fetch http://m/x  404 Not Found", "dial tcp: no such host"])
    assert error.code == "build-failed"


def test_the_telling_lines_come_through():
    lines = [
        "Step 16/27 : RUN pip", STEP, "Collecting pyyaml==3.12", "  Downloading PyYAML-3.12.tar.gz",
        "#12 3.417 ERROR: Command errored out with exit status 1", "    many lines",
        "#12 3.5 error: command 'gcc' failed",
        "WARNING: You are using pip version 21.3.1", "Removing intermediate container 0123456789ab",
    ]  # fmt: skip
    assert meaningful(lines) == ("ERROR: Command errored out with exit status 1", "error: command 'gcc' failed")
    assert meaningful(["one", "", "two"]) == ("one", "two")
    assert meaningful([]) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "no-gpu-runtime"),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all", "no-gpu-runtime"),
        ("Unknown runtime specified nvidia", "no-gpu-runtime"),
        ("unknown or invalid runtime name: nvidia", "no-gpu-runtime"),
        ("No such image: x", "not-ready"),
    ],
)
def test_a_container_that_does_not_start(text, code):
    assert start_failure(text, "docker", "x").code == code


def test_build_arguments_hold_what_is_set_and_secrets_are_found():
    settings = ContainerSettings(
        index_url="https://me:p%40ss@index.example/simple",
        proxies={"all": "http://proxy.example:3128"},
        no_proxy="localhost",
    )
    arguments = build_arguments(settings)
    assert arguments["https_proxy"] == arguments["HTTP_PROXY"] == "http://proxy.example:3128"
    assert "PIP_TRUSTED_HOST" not in arguments
    assert set(secrets(arguments)) == {"me:p%40ss", "p%40ss", "p@ss"}


def test_the_index_is_always_named_because_old_pips_have_a_default_that_is_gone():
    assert build_arguments(ContainerSettings())["PIP_INDEX_URL"].startswith("https://")


def test_the_log_is_whole_clean_and_cut_into_lines(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = BuildLog("name", Talk(), ("p@ss",))
    for piece in ("one\r\ntw", "o \x1b[31mred\x1b[0m p@s", "s\n", "rest"):
        log.write(piece)
    log.close()
    assert log.path.read_text() == "one\ntwo red ****\nrest\n"
    assert log.tail == ["one", "two red ****", "rest"]
    assert capsys.readouterr().err == "one\ntwo red ****\nrest\n"


def test_a_log_folder_that_cannot_be_made_is_no_obstacle(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    log = BuildLog("name", Talk(quiet=True))
    log.write("x\n")
    log.close()
    assert log.path.read_text() == "x\n"
    log.path.unlink()


def test_a_container_that_does_not_start_is_told_in_the_engines_words():
    raw = (
        "500 Server Error for http+docker://localhost/v1.41/containers/b5ff/start: Internal Server Error "
        '("runc: runc create failed: error setting rlimit type 7: operation not permitted")'
    )
    error = start_failure(raw, "podman", "envsolve/x:1")
    assert error.code == "not-ready"
    assert error.facts == ("runc: runc create failed: error setting rlimit type 7: operation not permitted",)
    assert "http" not in error.message
