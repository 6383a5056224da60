"""The scripts of ``apptainer.def``, run where no Apptainer is: in containers of Docker, in the order of its sources.

That order, and what each script sees: ``%setup`` outside, with the user's variables; ``%files``; ``%post`` inside,
without them. https://github.com/apptainer/apptainer/blob/main/internal/pkg/build/build.go (2026-11-24)
"""

import os
import re
import subprocess
from pathlib import PurePosixPath

from test_engine import SLIM, private, run, traces

from envsolve.definition import definition
from envsolve.models import LockedImage


def docker(*words, **more):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **more).stdout


def stages(text):
    for part in re.split(r"(?m)^(?=Bootstrap:)", text)[1:]:
        head, *rest = re.split(r"(?m)^(?=%)", part)
        yield dict(line.split(": ", 1) for line in head.splitlines()[:3]), [r.split("\n", 1) for r in rest]


class Steps:
    """Containers that a definition's stages become."""

    def __init__(self, folder, variables, scratch):
        self.folder, self.variables, self.scratch, self.containers = folder, variables, scratch, {}

    def build(self, text, tag):
        for header, sections in stages(text):
            name = header["Stage"]
            one = self.containers[name] = docker(
                "run", "-d", "-u", "0", "--entrypoint", "sleep", header["From"], "600"
            ).strip()
            self.copy_between(one, sections)
            self.setup(one, name, "".join(body for first, body in sections if first == "%setup"))
            for source, target in lines(sections, "%files"):
                docker("exec", one, "mkdir", "-p", str(PurePosixPath(target).parent))
                docker("cp", f"{self.folder}/{source}", f"{one}:{target}")
            post = next(body for first, body in sections if first == "%post")
            docker("exec", "-i", "-w", "/", one, "sh", "-c", "cat >/.post.script", input=post)
            docker("exec", "-w", "/", one, "/bin/sh", "-ex", "/.post.script")
            docker("exec", one, "rm", "/.post.script")
        docker("commit", "--change", 'ENTRYPOINT ["/usr/bin/env"]', one, tag)
        return dict(sections)

    def setup(self, container, name, script):
        root = self.scratch / name
        root.mkdir()
        subprocess.run(["sh", "-ex"], input=script, text=True, check=True, cwd=self.folder, capture_output=True,
                       env={**self.variables, "APPTAINER_ROOTFS": str(root)})  # fmt: skip
        docker("cp", f"{root}/.", f"{container}:/")

    def copy_between(self, container, sections):
        for first, _ in sections:
            if first.startswith("%files from "):
                for source, target in lines(sections, first):
                    docker("cp", f"{self.containers[first.split()[-1]]}:{source}", str(self.scratch / "copied"))
                    docker("cp", str(self.scratch / "copied"), f"{container}:{target}")

    def close(self):
        for container in self.containers.values():
            docker("rm", "-f", container)


def lines(sections, title):
    return [line.split() for first, body in sections if first == title for line in body.splitlines() if line.strip()
            and not line.startswith("#")]  # fmt: skip


def test_the_steps_build_what_the_dockerfile_does(client, base, private_index, written, tmp_path):
    base(SLIM)
    one = private(private_index)
    one = one.model_copy(update={"image": LockedImage(reference=SLIM), "environment": {"VALUE": "it's $HOME"}})
    folder, tag = written(one), "envsolve-test-definition"
    (folder / "ca.crt").write_bytes(private_index.bundle.read_bytes())
    steps = Steps(folder, {"PATH": os.environ["PATH"], "PIP_INDEX_URL": private_index.url}, tmp_path)
    try:
        sections = steps.build(definition(one), tag)
        program = "import gamma, os; print(gamma.__version__, os.environ['VALUE'], 'PYTHONPATH' in os.environ)"
        script = f'PYTHONPATH=/x\n{sections["%environment"]}exec python -c "{program}"'
        assert run(client, tag, "sh", "-c", script) == "3.0 it's $HOME False\n"
        secret = (private_index.marker, private_index.password, private_index.user, private_index.address)
        assert traces(client, tag, tmp_path, *secret) == set()
        assert run(client, tag, "sh", "-c", "ls / /opt/envsolve; test -e /install.tar || echo gone").endswith("gone\n")
    finally:
        steps.close()
        client.images.remove(tag, force=True)
