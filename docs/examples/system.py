"""A department's system in thirty lines, to try a manifest against: `python docs/examples/system.py`."""

import http.server
import json


class System(http.server.BaseHTTPRequestHandler):
    """Knows everybody's card; a renewal sent twice under one key is one renewal."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/cards/renewals":
            number = "XZ-" + self.headers["X-Request-Key"]
            body = json.dumps({"renewalNo": number, "status": "renewed", "validUntil": "20361124"}).encode()
        else:
            card = {"idNumber": asked["idNumber"], "no": "CJ-0007", "category": "1", "level": "2"}
            card |= {"validUntil": "20310930", "updatedAt": "2026-11-01T09:00:00+08:00"}
            body = json.dumps({"card": card}).encode()
        self.send_response(200 if self.headers["X-Api-Key"] == "try-me" else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 8471), System).serve_forever()
