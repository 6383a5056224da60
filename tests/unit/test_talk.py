"""What is said on stderr: plain lines for files, one live line for a terminal."""

import io
import os
import re

import pytest

from envsolve.talk import Talk, wants_color


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_plain_lines_where_nobody_watches():
    stream = io.StringIO()
    talk = Talk(stream=stream)
    talk.say("hello")
    with talk.step("lock"):
        talk.log("one\ntwo")
    talk.warn("careful")
    lines = stream.getvalue().splitlines()
    assert lines[:3] == ["hello", "one", "two"]
    assert re.fullmatch(r"lock  \d+\.\d s", lines[3])
    assert lines[4] == "warning: careful"
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def screen(text):
    """The lines that a terminal shows in the end."""
    last = [line.rpartition("\x1b[K")[2] for line in text.split("\n")]
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in last]


def test_a_terminal_keeps_one_line_per_step():
    stream = Terminal()
    talk = Talk(stream=stream)
    with talk.step("build"):
        for number in range(100):
            talk.log(f"line {number} \x1b[2J of a build")
        talk.say("half way")
    shown = screen(stream.getvalue())
    assert shown[0] == "half way"
    assert re.fullmatch(r"build  \d+\.\d s", shown[1])
    assert shown[2:] == [""]
    assert "\x1b[2J" not in stream.getvalue(), "a log must not command the terminal while folded"


def test_the_folded_log_is_shown_when_the_step_fails():
    stream = Terminal()
    talk = Talk(stream=stream)
    with pytest.raises(ValueError, match="no"), talk.step("build"):
        for number in range(100):
            talk.log(f"line {number}")
        raise ValueError("no")
    shown = screen(stream.getvalue())
    assert "line 99" in shown
    assert "line 2" not in shown
    assert shown[-2].startswith("build: failed")


def test_the_live_line_is_no_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    talk = Talk(stream=stream)
    with talk.step("build"):
        talk._drawn = 0.0
        talk.log("x" * 500)
    live = [part for part in stream.getvalue().split("\r\x1b[K") if "x" in part]
    assert live
    assert all(len(part.split("\n")[0]) < 40 for part in live)


def test_quiet_says_warnings_only():
    stream = io.StringIO()
    talk = Talk(quiet=True, stream=stream)
    talk.say("hello")
    with talk.step("lock"):
        talk.log("one")
    talk.warn("careful")
    assert stream.getvalue() == "warning: careful\n"


def test_color_only_where_it_belongs(monkeypatch):
    assert wants_color(Terminal())
    assert not wants_color(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())


def test_a_closed_pipe_does_not_stop_the_work():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stream:
        talk = Talk(stream=stream)
        with talk.step("lock"):
            talk.log("one")
        talk.say("still here")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
