"""The library's face: light to import, and its documentation's example runs and prints what it says."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import envsolve

GUIDE = Path(__file__).parents[2] / "docs" / "library.md"


def blocks():
    """(code, what it prints) for each example, in order."""
    found = re.findall(r"```(python|text)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    kinds = [kind for kind, _ in found]
    assert kinds == ["python", "text"] * (len(found) // 2)
    texts = [text for _, text in found]
    return list(zip(texts[::2], texts[1::2], strict=True))


def test_the_example_prints_what_the_guide_says():
    names = {}
    assert len(blocks()) >= 5
    for code, printed in blocks():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, str(GUIDE), "exec"), names)
        assert out.getvalue() == printed, code


def test_every_name_is_there_and_the_guide_knows_it():
    text = GUIDE.read_text()
    for name in envsolve.__all__:
        assert getattr(envsolve, name) is not None
        assert name == "__version__" or f"`{name}" in text, name
    assert dir(envsolve) == sorted(envsolve.__all__)


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, envsolve; print([m for m in sys.modules if m.startswith('envsolve.')"
        " or m in ('pydantic', 'docker', 'requests', 'jinja2', 'yaml', 'typer')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_plain_answer_reads_no_yaml():
    code = (
        "import sys, envsolve; f = envsolve.load_facts(); r = envsolve.build_request(['tf==1.4', 'numpy'], f);"
        "envsolve.solve(r, envsolve.Host(), f);"
        "print([m for m in ('yaml', 'envsolve.environment_file', 'envsolve.wanted', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
