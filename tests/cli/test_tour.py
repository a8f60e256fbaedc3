"""The tour can fail: it must find every way in which two ledgers may differ. And the visitor is an honest client."""

import http.server
import threading
from collections.abc import Iterator

import msgspec
import pytest

from onestop.demo.tour import Tour, TourFailed
from onestop.demo.visitor import Unreachable, Visitor

CASE = "case_01kabc"


class Effect(msgspec.Struct):
    adapter: str
    operation: str
    key: str
    step: str
    state: str = "done"
    attempt: int = 1


EFFECTS = [
    Effect("gongan", "register_birth", "01kabc-register_birth-1", "register_birth", attempt=2),
    Effect("weijian", "vaccination_card", "01kabc-vaccination_card-1", "vaccination_card"),
]
LEDGERS = {
    "gongan": [{"key": "01kabc-register_birth-1", "effect_id": "HK1"}, {"key": "somebody-elses", "effect_id": "HK2"}],
    "weijian": [{"key": "01kabc-vaccination_card-1", "effect_id": "V1"}],
}


def compare(effects, ledgers):
    def control(department, path, order):
        assert path == "/_ledger"
        return {"entries": ledgers[department]}

    tour = Tour("http://127.0.0.1:1", control, lambda _: effects, lambda *_, **__: None)
    tour._cases.append(CASE)
    return tour._compare()


def test_ledgers_that_agree_are_counted():
    assert compare(EFFECTS, LEDGERS) == {"effects": 2, "ledgers": 2}


def doubled():
    return EFFECTS, LEDGERS | {"gongan": [*LEDGERS["gongan"], {"key": "01kabc-register_birth-1", "effect_id": "HK3"}]}


def lost():
    return EFFECTS, LEDGERS | {"weijian": []}


def refused_only():
    return EFFECTS, LEDGERS | {"weijian": [{"key": "01kabc-vaccination_card-1", "effect_id": None}]}


def unheard_of():
    return EFFECTS, LEDGERS | {"weijian": [*LEDGERS["weijian"], {"key": "01kabc-other-1", "effect_id": "V2"}]}


def not_done():
    return [*EFFECTS[:1], msgspec.structs.replace(EFFECTS[1], state="unknown")], LEDGERS


def nothing():
    return [], LEDGERS


@pytest.mark.parametrize("world", [doubled, lost, refused_only, unheard_of, not_done, nothing])
def test_every_difference_fails_the_tour(world):
    with pytest.raises(TourFailed):
        compare(*world())


class Site(http.server.BaseHTTPRequestHandler):
    """Two pages, a cookie, a stream."""

    def do_GET(self) -> None:
        if self.path == "/in":
            self._answer(303, {"Location": "/me?x=1", "Set-Cookie": "__Host-s=abc; Path=/; Secure; HttpOnly"})
        elif self.path == "/out":
            self._answer(303, {"Location": "/me", "Set-Cookie": "__Host-s=; Max-Age=0; Path=/"})
        elif self.path == "/events":
            after = int(self.headers.get("Last-Event-ID") or 0)
            body = ": beat\n\nretry: 3000\n\n"
            body += "".join(f'id: {n}\nevent: step\ndata: {{"n": {n}}}\n\n' for n in (1, 2) if n > after)
            self._answer(200, {"Content-Type": "text/event-stream"}, body)
        else:
            self._answer(200, {}, f"{self.headers.get('Cookie')}|{self.headers.get('Authorization')}")

    def do_POST(self) -> None:
        self._answer(200, {}, f"{self.headers.get('Origin')}|{self.headers.get('Idempotency-Key')}")

    def _answer(self, status: int, headers: dict[str, str], body: str = "") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_visitor_keeps_cookies_and_forgets_them_when_told(site):
    visitor = Visitor(site)
    assert visitor.follow(visitor.get("/in")).body == b"__Host-s=abc|None"
    assert visitor.post("/x", {}, idempotency_key="k").body == f"{site}|k".encode()
    assert visitor.follow(visitor.get("/out")).body == b"None|None"


def test_a_token_never_leaves_for_another_site(site):
    visitor = Visitor("http://127.0.0.1:1", token="secret")
    assert visitor.get(f"{site}/me").body == b"None|None"
    assert Visitor(site, token="t").get("/me").body == b"None|Bearer t"


def test_events_are_read_and_taken_up_where_they_were_left(site):
    visitor = Visitor(site)
    assert [e["data"]["n"] for e in visitor.events("/events", patience_s=2)] == [1, 2]
    assert [e["id"] for e in visitor.events("/events", patience_s=2, last_id="1")] == ["2"]


def test_nobody_there_is_told_as_such():
    with pytest.raises(Unreachable):
        Visitor("http://127.0.0.1:1").get("/")
