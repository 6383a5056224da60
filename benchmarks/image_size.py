"""Size and build time of what envsolve renders beside a Dockerfile as people write it for the same request.

    python benchmarks/image_size.py [TARGET...]        default: tf==1.4.1 keras==2.0.8

Both are built by the docker command that is there (the classic builder, so that the figures mean the same), once
without its cache and once with, on the same base image, index and network, one after the other. Then the probe runs in
both: a small image that does not work is no gain. Needs a Docker engine, the base image and a package index. Where the
command ``repo2docker`` is on PATH, what it would build for the same request is described; cog is in no index. Prints a
table; leaves no image behind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from envsolve.engine.context import build_arguments
from envsolve.folder import read_lock, write
from envsolve.lock.pipconfig import container_settings, user_config
from envsolve.models import Lock
from envsolve.pipeline import answer, prepare
from envsolve.talk import Talk

_NAIVE = """FROM {base}
ARG PIP_INDEX_URL
COPY *.crt /tmp/
ENV PIP_CERT={cert}
RUN pip install {wanted}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=["tf==1.4.1", "keras==2.0.8"])
    targets = parser.parse_args().targets
    with tempfile.TemporaryDirectory() as name:
        ours, naive, other = (Path(name) / kind for kind in ("envsolve", "naive", "repo2docker"))
        prepared = prepare(answer(targets, gpu=("none",)), talk=Talk())
        write(ours, prepared.files)
        lock = read_lock(ours)
        settings = container_settings(user_config())
        naive.mkdir()
        for folder in (ours, naive):
            if settings.ca_bundle:
                shutil.copyfile(settings.ca_bundle, folder / "ca.crt")
        (naive / "none.crt").write_text("")  # a copy must find something
        wanted = " ".join(f"{f.package}=={f.version}" for f in lock.stack.frameworks)
        cert = "/tmp/ca.crt" if settings.ca_bundle else '""'  # noqa: S108 (in the image)
        (naive / "Dockerfile").write_text(_NAIVE.format(base=lock.image.reference, wanted=wanted, cert=cert))
        rows = [measured(kind, folder, ours, lock) for kind, folder in (("envsolve", ours), ("pip install", naive))]
        base = size(lock.image.reference)
        print(f"{wanted}; base image {lock.image.reference}, {base} MB\n")
        print("| built from | size | of it over the base | cold | warm | checks that fail, of all |")
        print("|---|---|---|---|---|---|")
        for kind, megabytes, cold, warm, failed in rows:
            print(f"| {kind} | {megabytes} MB | {megabytes - base} MB | {cold:.0f} s | {warm:.1f} s | {failed} |")
        print(f"\n{repo2docker(other, wanted, lock)}")


def measured(kind: str, folder: Path, ours: Path, lock: Lock) -> tuple[str, int, float, float, str]:
    """(kind, MB, seconds cold, seconds warm, checks that fail)."""
    tag = f"envsolve-benchmark-{folder.name}"
    try:
        cold = built(folder, tag, "--no-cache")
        warm = built(folder, tag)
        return kind, size(tag), cold, warm, proved(tag, ours, lock)
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], capture_output=True, check=False)


def built(folder: Path, tag: str, *options: str) -> float:
    """Seconds of one docker build."""
    command = ["docker", "build", "-q", "-t", tag, *options]
    for name, value in build_arguments(container_settings(user_config())).items():
        command += ["--build-arg", f"{name}={value}"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, str(folder)], env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{folder.name} does not build: {(done.stderr or done.stdout)[-1000:]}")
    return time.monotonic() - started


def size(image: str) -> int:
    """MB of an image, its base included."""
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True)
    return round(json.loads(done.stdout)[0]["Size"] / 1e6)


def proved(tag: str, ours: Path, lock: Lock) -> str:
    """Which of the probe's checks fail, versions of companions apart."""
    expect = {
        "python": lock.stack.python,
        "frameworks": {f.name: f.version for f in lock.stack.frameworks},
        "backend": next((f.name for f in lock.stack.frameworks if f.name != "keras"), None),
    }
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", "-v", f"{ours}/smoke.py:/probe/smoke.py:ro", "-e", "HOME=/tmp", tag,
         lock.image.executable, "/probe/smoke.py", json.dumps(expect)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        checks = json.loads(done.stdout.splitlines()[-1])["checks"]
    except (IndexError, ValueError):
        return f"no report: {done.stderr.strip()[-200:]}"
    failed = [check["name"] for check in checks if not check["ok"]]
    return f"{len(failed)} of {len(checks)}" + (f": {', '.join(failed)}" if failed else "")


def repo2docker(folder: Path, wanted: str, lock: Lock) -> str:
    """What repo2docker would build for the same words, in a sentence."""
    command = shutil.which("repo2docker") or shutil.which("jupyter-repo2docker")
    if command is None:
        return "repo2docker is not here: pip install jupyter-repo2docker. cog is a program apart, not on the index."
    folder.mkdir()
    (folder / "requirements.txt").write_text("\n".join(wanted.split()) + "\n")
    (folder / "runtime.txt").write_text(f"python-{lock.stack.python}\n")
    done = subprocess.run([command, "--no-build", "--debug", str(folder)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    lines = said.splitlines()
    begins = next((at for at, line in enumerate(lines) if line.strip().startswith("FROM ")), None)
    if begins is None:
        return f"repo2docker renders nothing for it: {said.strip()[-300:]}"
    text = lines[begins:]
    return (
        f"repo2docker {version(command)}: {text[0].strip()}, {sum(line.startswith('RUN') for line in text)} RUN steps, "
        f"installs by {'conda' if 'conda' in ' '.join(text) else 'pip'} without hashes; rendered only, not built"
    )


def version(command: str) -> str:
    """As the command says it."""
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
