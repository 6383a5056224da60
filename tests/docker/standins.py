"""Base images for a machine that can pull none: stand-ins under the names that a lock wants.

    python tests/docker/standins.py REFERENCE|FOLDER...      FOLDER: one that envsolve wrote

What the engine has is left alone. A stand-in is made by the tool that ENVSOLVE_MAKE_BASE_IMAGES names, else by
make-base-images in ``shared/tools`` beside the checkout. It makes python:X.Y-slim of whatever X.Y.Z it finds, so an
image of another patch release is that one under the wanted name too: enough to build and to run, no proof of glibc.
"""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@functools.cache
def tool():
    """The tool's path, or None."""
    named = os.environ.get("ENVSOLVE_MAKE_BASE_IMAGES")
    candidates = [Path(named)] if named else [parent / "shared/tools/make-base-images" for parent in CHECKOUT.parents]
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def ensure(reference):
    """Have the image. Why not, as a sentence, when that fails."""
    if _docker("image", "inspect", reference).returncode == 0:
        return None
    if tool() is None:
        return f"{reference} is not here, and there is no make-base-images to make a stand-in"
    made = re.sub(r"^python:(\d+\.\d+)(?:\.\d+)?-slim(?:-\w+)?$", r"python:\1-slim", reference)
    done = subprocess.run([sys.executable, str(tool()), "--only", made], capture_output=True, text=True)
    if done.returncode:
        return f"no stand-in for {reference}: {(done.stderr or done.stdout).strip()[-300:]}"
    if made != reference:
        _docker("tag", made, reference)
    return None


def _docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True)


def wanted(text):
    """The base image of a folder that envsolve wrote, or the reference itself."""
    if not (Path(text) / "envsolve.lock").is_file():
        return text
    from envsolve.folder import read_lock

    return read_lock(Path(text)).image.reference


if __name__ == "__main__":
    failed = [reason for text in sys.argv[1:] if (reason := ensure(wanted(text)))]
    sys.exit("\n".join(failed) or None)
