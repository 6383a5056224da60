"""A company's package index: HTTPS by a private authority, name and password, and a few tiny packages."""

import base64
import hashlib
import io
import secrets
import ssl
import subprocess
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def wheel(name, version):
    """A wheel with one module and one script."""
    content = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n\ndef main():\n    print(__version__)\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2000, 1, 1, 0, 0, 0)), text)
    return f"{name}-{version}-py2.py3-none-any.whl", content.getvalue()


def sdist(name, version, needs):
    """An sdist whose setup.py imports another package, as old ones import numpy, and brings a manual page."""
    setup = (
        f"import {needs}\nfrom setuptools import setup\n"
        f"setup(name={name!r}, version={version!r}, py_modules=[{name!r}], data_files=[('man/man1', ['{name}.1'])])\n"
    )
    files = {
        "setup.py": setup,
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{name}.1": ".TH X 1\n",
        "PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n",
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", content.getvalue()


class PrivateIndex:
    """Serves on all of ``host``. ``bundle``: the authority's certificate, with a text in it that can be looked for."""

    user = "build-user"

    def __init__(self, host, folder):
        self.password = "pw" + secrets.token_hex(8)
        self.marker = "marker" + secrets.token_hex(8)
        self.files = dict([wheel("alpha", "1.0"), wheel("beta", "2.0"), sdist("gamma", "3.0", "alpha")])
        self.asked = []
        self._certificates(host, folder)
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"{host}:{self._server.server_address[1]}"
        self.url = f"https://{self.user}:{self.password}@{self.address}/simple/"

    def sha256(self, name):
        return next(hashlib.sha256(data).hexdigest() for file, data in self.files.items() if file.startswith(name))

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _certificates(self, host, folder):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

        (folder / "ext").write_text(f"subjectAltName=IP:{host}\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl(
            "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test authority", "-days", "2"
        )
        openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=index")
        openssl(
            "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "server.crt", "-days", "2", "-extfile", "ext",
        )  # fmt: skip
        self.bundle = folder / "bundle.crt"
        self.certificate = (folder / "ca.crt").read_text()
        self.bundle.write_text(f"# {self.marker}\n{self.certificate}")

    def _handler(self):
        index = self
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self):
                index.asked.append(self.path)
                if self.headers.get("Authorization") != wanted:
                    return self.answer(401, b"", ("WWW-Authenticate", "Basic"))
                parts = self.path.strip("/").split("/")
                if parts[0] == "files" and parts[-1] in index.files:
                    return self.answer(200, index.files[parts[-1]])
                found = [file for file in index.files if parts[0] == "simple" and file.startswith(f"{parts[-1]}-")]
                page = "".join(f'<a href="/files/{file}">{file}</a>\n' for file in found)
                return self.answer(200 if found else 404, page.encode(), ("Content-Type", "text/html"))

            def answer(self, status, body, *headers):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        return Handler
