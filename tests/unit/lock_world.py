"""A package index made of tiny real wheels and sdists, served by a real server on the loopback; and small databases."""

import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from envsolve.lock.index import Index
from envsolve.lock.pipconfig import IndexConfig
from envsolve.matrices import Facts
from envsolve.models import FrameworkChoice, Host, Request, Stack, Target

JSON = "application/vnd.pypi.simple.v1+json"
EVIDENCE = {"test": {"source": "https://example.org/fact", "checked": "2026-11-24", "how": "given"}}
STAMP = (2000, 1, 1, 0, 0, 0)


def wheel(name, version, requires=(), padding=0):
    """A wheel's bytes; ``padding`` makes it too big to be read in one piece."""
    content = io.BytesIO()
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{folder}/WHEEL", STAMP), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(zipfile.ZipInfo(f"{folder}/RECORD", STAMP), f"{folder}/METADATA,,\n{folder}/RECORD,,\n")
        archive.writestr(
            zipfile.ZipInfo(f"{folder}/METADATA", STAMP), head + "".join(f"Requires-Dist: {r}\n" for r in requires)
        )
        if padding:
            archive.writestr(zipfile.ZipInfo("data.bin", STAMP), hashlib.sha256(b"x").digest() * (padding // 32))
            archive.infolist()[-1].compress_type = zipfile.ZIP_STORED
    return content.getvalue()


def sdist(name, version, files):
    """A .tar.gz with these files in its top folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


@dataclass
class Served:
    filename: str
    content: bytes
    day: str
    extra: dict = field(default_factory=dict)
    metadata: bytes | None = None


class World:
    """The index. ``log`` holds the path of every request; the switches make it misbehave."""

    def __init__(self):
        self.projects = {}
        self.log = []
        self.html = False
        self.dates = True
        self.ranges = True
        self.etags = True
        self.fail_times = 0
        self.cut_times = 0
        self.password = None
        self.fail_status = 503
        self.retry_after = None
        self.cut_files = 0  # of files only, and in the middle of what is left of each
        self.stall = False  # cut, and never give more than the first piece
        self.cut_at = None
        self.endless = False
        self.instead = {}  # file name -> what is served in its place; None: 404
        self.asked = []  # the Range of every request for a file

    def add(self, name, filename, content, day, *, metadata=None, **extra):
        self.projects.setdefault(name, []).append(Served(filename, content, day, extra, metadata))

    def wheel(self, name, version, day, *requires, tags="py2.py3-none-any", padding=0, pep658=False, **extra):
        content = wheel(name, version, requires, padding)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        text = (head + "".join(f"Requires-Dist: {r}\n" for r in requires)).encode() if pep658 else None
        self.add(name, f"{name.replace('-', '_')}-{version}-{tags}.whl", content, day, metadata=text, **extra)
        return self

    def sdist(self, name, version, day, files=None, **extra):
        files = {"setup.py": "from setuptools import setup\nsetup()\n"} if files is None else files
        self.add(name, f"{name}-{version}.tar.gz", sdist(name, version, files), day, **extra)
        return self

    def tools(self, day="2016-01-01", pip="21.3.1"):
        self.wheel("pip", pip, "2021-10-22").wheel("setuptools", "28.0", day).wheel(
            "setuptools", "59.6.0", "2021-12-12"
        )
        return self.wheel("wheel", "0.29.0", day).wheel("wheel", "0.37.1", "2021-12-22")

    # -- serving ------------------------------------------------------------------------------------------

    def page(self, name):
        entries = []
        for served in self.projects[name]:
            entry = {
                "filename": served.filename,
                "url": f"/files/{served.filename}",
                "hashes": {"sha256": hashlib.sha256(served.content).hexdigest()},
                "size": len(served.content),
                "yanked": False,
                **{key.replace("_", "-"): value for key, value in served.extra.items()},
            }
            if self.dates:
                entry["upload-time"] = f"{served.day}T12:00:00.000000Z"
            if served.metadata is not None:
                entry["core-metadata"] = {"sha256": hashlib.sha256(served.metadata).hexdigest()}
            entries.append(entry)
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": entries}).encode()

    def file(self, name):
        for served in (s for files in self.projects.values() for s in files):
            if served.filename == name:
                return served.content
            if f"{served.filename}.metadata" == name:
                return served.metadata
        return None

    @cached_property
    def server(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"world": self}))
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def index(self, tmp_path, **options):
        config = IndexConfig(index_url=options.pop("url", self.url), retries=3, timeout=10, **options.pop("config", {}))
        return Index(config, cache_dir=tmp_path / "cache", **options)


class _Handler(BaseHTTPRequestHandler):
    world: World

    def log_message(self, *args):
        pass

    def do_GET(self):
        world = self.world
        world.log.append(self.path)
        if world.fail_times:
            world.fail_times -= 1
            return self.reply(world.fail_status, b"", {"Retry-After": world.retry_after} if world.retry_after else {})
        if world.password and world.password not in self.headers.get("Authorization", ""):
            return self.reply(401, b"")
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple":
            return self.project(parts[1])
        world.asked.append(self.headers.get("Range"))
        return self.part(world.instead.get(parts[1], world.file(parts[1])))

    def project(self, name):
        if self.world.endless:
            return self.pour()
        if name not in self.world.projects:
            return self.reply(404, b"")
        if JSON not in (self.headers.get("Accept") or ""):  # an old pip
            links = "".join(
                f'<a href="/files/{s.filename}#sha256={hashlib.sha256(s.content).hexdigest()}">{s.filename}</a><br>'
                for s in self.world.projects[name]
            )
            page = f"<!DOCTYPE html><html><body>{links}</body></html>"
            return self.reply(200, page.encode(), {"Content-Type": "text/html"})
        if self.world.html:
            return self.reply(200, b"<!DOCTYPE html><a href='x'>x</a>", {"Content-Type": "text/html"})
        content = self.world.page(name)
        etag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        if self.world.etags and self.headers.get("If-None-Match") == etag:
            return self.reply(304, b"", {"ETag": etag})
        return self.reply(200, content, {"Content-Type": JSON} | ({"ETag": etag} if self.world.etags else {}))

    def part(self, content):
        if content is None:
            return self.reply(404, b"")
        wanted = self.headers.get("Range")
        if not wanted or not self.world.ranges:
            return self.reply(200, content)
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        if int(start) >= len(content):
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        end = end or len(content) - 1
        part = content[int(start) : int(end) + 1]
        return self.reply(206, part, {"Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def pour(self):
        """A page without an end."""
        self.send_response(200)
        self.send_header("Content-Type", JSON)
        self.end_headers()
        self.close_connection = True
        try:
            while self.world.endless:
                self.wfile.write(b'{"files": [' + b" " * 100_000)
        except OSError:
            pass

    def reply(self, status, content, headers=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.world.cut_files and self.path.startswith("/files/"):
            self.world.cut_files -= 1
            stop = 0 if self.world.stall and status == 206 else self.world.cut_at or len(content) // 2
            self.wfile.write(content[:stop])
            self.close_connection = True
            return
        if self.world.cut_times and status == 200:
            self.world.cut_times -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)


def facts(tmp_path, *, caps=(), frameworks=None, images=(), pythons=()):
    """A small database: Python 2.7 and 3.6 on Debian images, and what is given."""
    everywhere = {"evidence": {"*": "test"}}
    root = tmp_path / "matrices"
    (root / "caps").mkdir(parents=True)
    (root / "frameworks").mkdir()

    def write(path, key, rows, **more):
        content = {"evidence": EVIDENCE, key: [{**row, **everywhere} for row in rows], **more}
        (root / path).write_text(json.dumps(content))

    tools = {"setuptools": "59.6.0", "wheel": "0.37.1"}
    python36 = {"version": "3.6", "full": "3.6.15", "abi": "cp36m", "pip": "21.3.1", **tools, "released": "2016-12-23"}
    python27 = {"version": "2.7", "full": "2.7.18", "abi": "cp27mu", "pip": "20.3.4", **tools, "released": "2010-07-03"}
    write("pythons.json", "pythons", [{**python36, "backports": ["enum34"]}, python27, *pythons])
    system = {
        "name": "ubuntu16.04",
        "glibc": "2.23",
        "released": "2016-04-21",
        "archive": "archive.example.org",
        "pythons": [
            {
                "version": "3.6",
                "full": "3.6.1",
                "packages": ["python3", "python3-pip"],
                "executable": "python3.6",
                "pip": "8.1.1",
                "pip_index_gone": True,
            }
        ],
    }
    write("systems.json", "systems", [{"name": "debian11", "glibc": "2.31", "released": "2021-08-14"}, system])
    plain = {"os": "debian11", "status": "available", "last_seen": "2022-01-12"}
    rows = [
        {"id": "python:3.6-slim", "reference": "python:3.6-slim", "python": "3.6.15", **plain},
        {"id": "python:2.7-slim", "reference": "python:2.7-slim", "python": "2.7.18", **plain},
        {"id": "old-ubuntu", "reference": "ubuntu:16.04", "status": "available", "os": "ubuntu16.04",
         "apt_pins": ["libx=1"], "environment": {"A": "b"}},
    ]  # fmt: skip
    write("images.json", "images", [*rows, *images])
    write("caps/test.json", "caps", caps)
    for name, more in (frameworks or {}).items():
        builds = [
            {
                "version": "1.0",
                "released": "2017-01-01",
                "pythons": {"3.6": None},
                "devices": ["cpu"],
                **build,
                **everywhere,
            }
            for build in more.get("builds", ())
        ]
        pairings = [{**row, **everywhere} for row in more.get("pairings", ())]
        content = {"name": name, "module": name, "evidence": EVIDENCE, "builds": builds, "pairings": pairings}
        (root / f"frameworks/{name}.json").write_text(json.dumps(content))
    return Facts(root)


def stack(*frameworks, python="3.6", image=None, os="debian11", glibc="2.31", origin="index"):
    """A stack of frameworks given as 'name=package==version' or 'package==version'."""
    choices = []
    for text in frameworks:
        name, _, pinned = text.rpartition("=") if text.count("=") == 1 else ("", "", text)
        if text.count("=") == 3:
            name, _, pinned = text.partition("=")
        package, _, version = pinned.partition("==")
        choices.append(
            FrameworkChoice(name=name or package, package=package, version=version, origin=origin, build=pinned)
        )
    return Stack(
        device="cpu",
        verdict="native",
        frameworks=tuple(choices),
        python=python,
        os=os,
        glibc=glibc,
        base_image=image or f"python:{python}-slim",
    )


def request(*frameworks, companions=(), **more):
    """A request for frameworks and companions, as typed."""
    targets = [
        Target(text=text, name=text.partition("==")[0], specifier="==" + text.partition("==")[2]) for text in frameworks
    ]
    for text in companions:
        name = text
        for sign in "<>=![":
            name = name.partition(sign)[0]
        targets.append(Target(text=text, name=name, specifier=text[len(name) :], framework=False))
    return Request(targets=tuple(targets), **more)


HOST = Host()
