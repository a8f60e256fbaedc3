"""A portal of three lines: hears callbacks, answers as told."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Portal:
    """Plays the portal's callback address; answers with the statuses in `answers`, then 204."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        portal = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                portal.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(portal.answers.pop(0) if portal.answers else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def about(self, serial: str) -> list[dict[str, Any]]:
        return [told for _, _, body in list(self.heard) if (told := json.loads(body))["serial"] == serial]

    def wait(self, serial: str, count: int) -> list[dict[str, Any]]:
        for _ in range(240):
            if len(told := self.about(serial)) >= count:
                return told
            time.sleep(0.025)
        raise AssertionError(f"{len(self.about(serial))} callbacks instead of {count}")

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
