"""Whatever stands in a lock or is typed: it reaches a shell, a builder or an editor as data, or is refused."""

import json
import re
import shlex
import sys
from functools import cache

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from render_locks import ALL, CUDA, SLIM, THEANO

from envsolve import extras
from envsolve.errors import DatabaseError, EnvsolveError, Exit, UsageError
from envsolve.lock import document
from envsolve.matrices import load
from envsolve.overlay import read_overlay
from envsolve.quoting import word
from envsolve.render import render
from envsolve.request import build_request

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS = extras.asked(compose=True, devcontainer=True, apptainer=True, cache_mounts=True)
# What ends a word, a line or a quote in a shell, a Dockerfile, YAML, TOML, a requirements file or a template
NASTY = [
    "$(touch /tmp/x)", "`id`", "${HOME}", "$HOME", "a\\", '"', "'", '" \\', "\\\"", "; rm -rf /", "&& RUN id",
    "x | sh", "\nRUN id", "\n    privileged: true", "a: b", "# x", "- x", "{{ 7*7 }}", "{% raw %}", "%s", "<<EOF",
    "> /etc/passwd", "${localEnv:HOME}", "--index-url=http://x.example/", "../../etc/passwd", "\x00", "\x1b[2J",
    "\u2028RUN id", "\r\nRUN id", "x\\\n", "'; id; '", "\"; id; \"", "]\n[x", "*", "~", "!x", "&a", "@x", "a b",
    "-e x", "x @ file:///etc", "\ud800", "\U00010000",
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(NASTY),
    st.tuples(st.sampled_from(["python:3", "numpy", "1.0", "A"]), st.sampled_from(NASTY)).map("".join),
    st.text(max_size=20),
)


def places(value, path=()):
    """Every text of a JSON value, and every name of a variable: (path, whether a key)."""
    if isinstance(value, str):
        yield path, False
    elif isinstance(value, dict):
        for key, item in value.items():
            if path and path[-1] == "environment":
                yield (*path, key), True
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*path, at))


def changed(value, path, is_key, text):
    """A copy with that text in that place."""
    value = json.loads(json.dumps(value))
    here = value
    for step in path[:-1]:
        here = here[step]
    if is_key:
        here[text] = here.pop(path[-1])
    else:
        here[path[-1]] = text
    return value


@cache
def base(name):
    return json.loads(document.dump(ALL[name]))


def instructions(text):
    """(keyword, all of it) of a Dockerfile, continued lines joined as builders do."""
    found, open_ = [], False
    for line in re.split(r"\r\n|\n|\r", text):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if open_:
            found[-1][1] += "\n" + line
        else:
            found.append([line.split()[0], line])
        open_ = line.endswith("\\")
    return found


PIECE = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|[();<>|&]|\s+|[^\s'"\\();<>|&]+""", re.DOTALL)


def shape(script):
    """What a shell does with a script, whatever the words are: its operators, its words, what it would expand."""
    script = script.replace("\\\n", " ")
    pieces = PIECE.findall(script)
    assert "".join(pieces) == script, "a quote is open"
    operators = [piece for piece in pieces if piece in "();<>|&"]
    kinds = ["word" if not piece.isspace() and piece not in "();<>|&" else piece for piece in pieces]
    words = sum(kind == "word" != before for before, kind in zip(["", *kinds[:-1]], kinds, strict=True))
    return words, operators, [re.findall(r"\$[\w({]?|`", piece) for piece in pieces if not piece.startswith("'")]


def skeleton(files):
    """What of the files must not depend on any text."""
    found = instructions(files["Dockerfile"])
    return (
        [keyword for keyword, _ in found],
        [shape(text) for keyword, text in found if keyword in ("RUN", "COPY")],
        [shape(text) for keyword, text in instructions(files["Dockerfile.buildkit"]) if keyword in ("RUN", "COPY")],
        definition(files["apptainer.def"]),
        [len(shlex.split(text)) for keyword, text in found if keyword in ("ENV", "LABEL", "ARG", "FROM", "USER")],
        {name: keys(tomllib.loads(text)) for name, text in files.items() if name == "pylock.toml"},
        [line.split()[0][:6] for line in files["requirements.txt"].splitlines() if line[:1] in (" ", "-", "#", "\t")],
        keys(yaml.safe_load(files["compose.yaml"])),
        keys(json.loads(files["devcontainer.json"].partition("\n")[2])),
    )


def definition(text):
    """The sections, and what a shell does with those that are scripts."""
    found = [["header", ""]]
    for line in text.split("\n"):
        if line.lstrip().startswith("%"):
            found.append([line, ""])
        elif not line.lstrip().startswith("#"):
            found[-1][1] += line + "\n"
    assert not re.search(r"{{\s*\w+\s*}}", text)
    lines = ("header", "%files", "%labels")
    return [(title, body.count("\n") if title.startswith(lines) else shape(body)) for title, body in found]


def keys(value):
    """The structure without the texts; variables are counted."""
    if isinstance(value, dict):
        named = {"environment", "containerEnv"}
        return {key: len(item) if key in named else keys(item) for key, item in value.items()}
    return [keys(item) for item in value] if isinstance(value, list) else type(value).__name__


def whole(lock):
    return render(lock) | extras.render(lock, EXTRAS)


@cache
def usual(name):
    return skeleton(whole(ALL[name]))


# What decides which instructions there are: another value of these means another file, and that is no injection
DECIDES = re.compile(
    r"(^|/)(python|python_full|device|os|glibc|name|version|phase|as_of|verdict|last_seen|digest|upload_time)(/|$)"
)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_text_of_a_lock_changes_what_a_folder_does(name, data):
    value = base(name)
    path, is_key = data.draw(st.sampled_from(list(places(value))), label="place")
    text = data.draw(HOSTILE, label="text")
    hostile = changed(value, path, is_key, text)
    try:
        lock = document.load(json.dumps(hostile))
        files = whole(lock)
    except UsageError as error:
        assert error.exit_code == Exit.USAGE
        return
    found, wanted = skeleton(files), usual(name)
    if DECIDES.search("/".join(map(str, path))):  # then at least no instruction nobody knows
        assert set(found[0]) <= {"FROM", "RUN", "COPY", "ARG", "ENV", "USER", "WORKDIR", "CMD", "LABEL"}
        return
    if path[0] in ("system_packages", "build_packages", "image") and found != wanted:
        assert re.fullmatch(r"[A-Za-z0-9.+:=~/@_-]*", text), (path, text)  # a name like others; which one decides too
        return
    assert found == wanted, (path, text)


@settings(max_examples=60, deadline=None)
@given(value=HOSTILE)
def test_a_variables_value_comes_through_or_is_refused(value):
    one = THEANO.model_copy(update={"environment": {"THEANO_FLAGS": value}})
    try:
        files = whole(document.load(document.dump(one)))
    except UsageError:
        return
    (line,) = [line for line in files["Dockerfile"].splitlines() if line.strip().startswith("THEANO_FLAGS=")]
    quoted = line.strip().removeprefix("THEANO_FLAGS=").removesuffix(" \\")
    assert re.sub(r'\\(["\\$])', r"\1", quoted[1:-1]) == value
    assert not re.search(r'(?<!\\)(?:\\\\)*["$]', quoted[1:-1])
    composed = yaml.safe_load(files["compose.yaml"])["services"]["work"]["environment"]["THEANO_FLAGS"]
    assert "$" not in composed.replace("$$", "")
    if value and "base_compiledir" not in value:
        assert composed.replace("$$", "$").startswith(value.split(",")[0])
    assert "${" not in json.loads(files["devcontainer.json"].partition("\n")[2])["containerEnv"]["THEANO_FLAGS"]


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.one_of(HOSTILE, st.just("tf==1.4")), min_size=1, max_size=3))
def test_what_is_typed_is_a_request_or_an_error(words):
    try:
        request = build_request(words, FACTS, gpu=("none",))
    except EnvsolveError as error:
        assert error.exit_code in (Exit.USAGE, Exit.NOT_READY)
        return
    for target in request.targets:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", target.name), target


@given(HOSTILE)
def test_a_path_in_a_hint_is_one_word(text):
    assert shlex.split(f"rm -r {word(text)}   # when nothing in it is wanted", comments=True) == ["rm", "-r", text]


FACTS = load()
PLACES = (
    "apt_pins",
    "apt_repositories",
    "apt_keys",
    "python_packages",
    "reference",
    "executable",
    "archive",
    "environment",
)


@settings(max_examples=60, deadline=None)
@given(place=st.sampled_from(PLACES), text=HOSTILE)
def test_an_image_of_a_users_own_facts_is_refused_or_harmless(place, text, tmp_path_factory):
    """As a row of a file, and as what the solver then puts into a lock."""
    path = tmp_path_factory.getbasetemp() / "own.json"
    row = {"id": "own", "reference": "own.example/x:1", "os": "ubuntu16.04", place: {"A": text}}
    row[place] = (
        {"A": text} if place == "environment" else text if place in ("reference", "executable", "archive") else [text]
    )
    path.write_text(json.dumps({"images": [row]}))
    try:
        read_overlay(path)
    except (UsageError, DatabaseError) as error:
        assert "Traceback" not in error.message
    now = getattr(CUDA.image, place)
    new = {"A": text} if isinstance(now, dict) else (text,) if isinstance(now, tuple) else text
    one = CUDA.model_copy(update={"image": CUDA.image.model_copy(update={place: new})})
    try:
        files = render(document.load(document.dump(one)))
    except UsageError:
        return
    assert {keyword for keyword, _ in instructions(files["Dockerfile"])} <= {
        "FROM", "RUN", "COPY", "ARG", "ENV", "USER", "WORKDIR", "CMD", "LABEL",
    }  # fmt: skip
    if place != "environment":
        assert re.fullmatch(r"[A-Za-z0-9 .+:=~/@_,\[\]%-]*", text), (place, text)


def test_the_oracle_sees_an_injection():
    """A text that a template would not quote changes the skeleton."""
    files = whole(SLIM)
    hurt = files["Dockerfile"].replace("mkdir -m 1777", "id; mkdir -m 1777", 1)
    assert skeleton(files | {"Dockerfile": hurt}) != skeleton(files)
    hurt = files["Dockerfile"].replace("touch -h", "touch $(id) -h", 1)
    assert skeleton(files | {"Dockerfile": hurt}) != skeleton(files)
    hurt = files["compose.yaml"].replace("    init: true\n", "    init: true\n    privileged: true\n")
    assert skeleton(files | {"compose.yaml": hurt}) != skeleton(files)
