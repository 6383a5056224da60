"""A Debian archive whose signatures are gone: what a mirror has, but nothing signed."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Archive:
    """Redirects to the mirror that an image's own sources name; ``address``: what a lock calls the archive."""

    def __init__(self, host, sources):
        found = re.search(r"(https?://\S+?/debian)/? +(\w+)", sources) or re.search(
            r"URIs: *(https?://\S+?/debian)/?\s+Suites: *(\w+)", sources
        )
        self.mirror, self.suite = found.groups()
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self.address = f"{host}:{self._server.server_address[1]}"

    def __enter__(self):
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        mirror = self.mirror

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.removeprefix("/debian")
                if path.endswith(("InRelease", "Release.gpg")) or path == self.path:
                    self.send_error(404)
                    return
                self.send_response(302)
                self.send_header("Location", mirror + path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        return Handler
