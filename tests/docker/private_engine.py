"""A Docker engine of our own beside the machine's, on a small disk of its own: one that a test may kill and fill."""

import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

BRIDGE, ADDRESS = "envsolve-test0", "10.213.77.1/24"


class PrivateEngine:
    """``address``: as DOCKER_HOST takes it. Needs root, and gives everything back in ``close``."""

    def __init__(self, folder, size):
        self.folder, self.process = folder, None
        self.data, self.address = folder / "data", f"unix://{folder}/s"
        self.data.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.data)
        _run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", ADDRESS, "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        self.start()

    def start(self):
        """Start it, again after ``die``. Raises OSError when it does not answer within a minute."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        (self.folder / "pid").unlink(missing_ok=True)
        words = ["--data-root", self.data, "--exec-root", self.folder / "run", "--pidfile", self.folder / "pid"]
        # A bridge of its own and no rules: the other engine's network is left as it is
        words += ["--host", self.address, "--bridge", BRIDGE, "--iptables=false", "--ip-masq=false"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["dockerd", *map(str, words)], stdout=log, stderr=log)
        for _ in range(600):
            if self.docker("version").returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise OSError(f"a second dockerd does not start here: {(self.folder / 'log').read_text()[-300:]}")

    def docker(self, *words):
        """The docker command with this engine."""
        return subprocess.run(["docker", "--host", self.address, *words], capture_output=True, text=True)

    def load(self, image):
        """Have an image of the machine's own engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            command = ["docker", "--host", self.address, "load"]
            subprocess.run(command, stdin=saved.stdout, check=True, capture_output=True)

    def die(self):
        """As the machine's out-of-memory killer would."""
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.die()
        self._end_what_it_started()
        _run("ip", "link", "delete", BRIDGE, check=False)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            place = line.split()[1]
            if Path(place).is_relative_to(self.folder):
                _run("umount", "--lazy", place, check=False)

    def _end_what_it_started(self):
        """containerd and its shims outlive a dockerd that was killed: found by our folder in their command line."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has just ended
                if f"{self.folder}/run".encode() in path.read_bytes():
                    _run("kill", "-KILL", path.parent.name, check=False)


def _run(*words, check=True):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    if check and done.returncode:
        raise OSError(f"{' '.join(map(str, words[:3]))}: {done.stderr.strip()}")
