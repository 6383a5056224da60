"""A vendor's image, for real, by a stand-in: what is installed beside its own packages leaves them as they are."""

import hashlib
import io
import json
import tarfile

import pytest
from render_locks import lock, package

from envsolve.engine.base import SITE_DIRECTORY, BuildSettings
from envsolve.lock.pipconfig import ContainerSettings
from envsolve.models import LockedImage

pytestmark = pytest.mark.docker

BASE = "python:3.6.15-slim-bullseye"
TAG = "envsolve-test/vendor:1"
SEEN = (
    "import numpy, own, alpha, beta, gamma, sys, json\n"
    "print(json.dumps([numpy.__version__, alpha.__file__, beta.__version__, sys.path[1:3]]))"
)
OWN = "/usr/local/lib/python3.6/site-packages"


@pytest.fixture(scope="module")
def vendor(client, base):
    """An image with a NumPy and a beta of the vendor's, a search path of its own, and a rule against ours."""
    context = io.BytesIO()
    files = {
        "Dockerfile": (
            f"FROM {base(BASE)}\nCOPY numpy.py beta.py {OWN}/\nCOPY limits.txt /etc/limits.txt\nCOPY own.py /vendor/\n"
            'ENV PYTHONPATH="/vendor" PIP_CONSTRAINT="/etc/limits.txt"\n'
        ),
        "numpy.py": "__version__ = 'vendor'\n",
        "beta.py": "__version__ = 'vendor'\n",
        "own.py": "",
        "limits.txt": "beta==1.0\nsetuptools==1.0\n",
    }
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=TAG, rm=True, forcerm=True)
    yield TAG
    client.images.remove(TAG, force=True)


def contents(client, image):
    """Path -> what is there, for every file and link of an image."""
    box = client.containers.create(image)
    try:
        stream = io.BytesIO(b"".join(box.export()))
    finally:
        box.remove()
    with tarfile.open(fileobj=stream) as archive:
        return {
            member.name: member.linkname or hashlib.sha256(archive.extractfile(member).read()).hexdigest()
            for member in archive
            if not member.isdir() and (member.isfile() or member.issym())
        }


def test_no_file_of_a_vendors_image_is_replaced(engine, client, vendor, private_index, written, talk):
    files = (("alpha", "1.0", "wheel"), ("beta", "2.0", "wheel"), ("gamma", "3.0", "sdist"))
    one = lock(
        image=LockedImage(reference=vendor, preinstalled=("tensorflow==1.4.1+v",)),
        packages=[package(name, version, phase, sha256=private_index.sha256(name)) for name, version, phase in files],
    )
    settings = BuildSettings(
        no_cache=True, container=ContainerSettings(index_url=private_index.url, ca_bundle=private_index.bundle)
    )
    built = engine.build(written(one), one, settings, talk)
    before, after = contents(client, vendor), contents(client, built.tag)
    # /etc/hosts and its like are the container's, not the image's
    assert {path for path in before if after.get(path) != before[path]} == {"etc/passwd", "etc/group"}
    new = set(after) - set(before)
    assert {path for path in new if not path.startswith("opt/envsolve/")} == set()
    assert {f"{SITE_DIRECTORY[1:]}/{name}" for name in ("alpha.py", "beta.py", "gamma.py", "bin/alpha")} <= new
    said = client.containers.run(
        built.tag,
        ["python", "-c", SEEN],
        remove=True,
        network_mode="none",
    )
    assert json.loads(said) == ["vendor", f"{SITE_DIRECTORY}/alpha.py", "2.0", [SITE_DIRECTORY, "/vendor"]]
    assert client.containers.run(built.tag, ["beta"], remove=True, network_mode="none") == b"2.0\n"
