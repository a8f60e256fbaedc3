"""教育局, education: JSON in pages; no session, each request is signed on its own."""

import base64
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply

_STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "bad_request": 400,
    "unknown_path": 404,
    "not_found": 404,
    "moved": 404,
    "broken": 500,
}
LARGEST_PAGE = 50


class StudySearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose times at school are asked for: the person's own and those of the children in the person's care."""

    id_no: Annotated[str, Meta(min_length=18, max_length=18)]
    page: Annotated[int, Meta(ge=1, le=1000)] = 1
    size: Annotated[int, Meta(ge=1, le=LARGEST_PAGE)] = 10


class Jiaoyu:
    """The school register: `POST /api/studies/search`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve one page of the search."""
        desk = self._desk
        self._check_sign(request)
        if (request.method, request.path) != ("POST", "/api/studies/search"):
            raise Refusal("unknown_path", "接口不存在")
        await desk.pace()
        try:
            search = decoded(request.body, StudySearch)
        except ValueError as fault:
            raise Refusal("bad_request", str(fault)) from fault
        found = await desk.consult(request, search.id_no, lambda facts: facts.studies)
        start = (search.page - 1) * search.size
        content = {
            "id_no": search.id_no,
            "name": desk.name(request, search.id_no),
            "as_of": desk.as_of(request),
            "page": search.page,
            "size": search.size,
            "total": len(found),
            "items": found[start : start + search.size],
        }
        return json_reply(content)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status and an error in words."""
        return json_reply({"error": refusal.kind, "error_description": refusal.sentence}, _STATUS[refusal.kind])

    def _check_sign(self, request: Request) -> None:
        own = self._desk.secrets
        timestamp = request.headers.get("x-edu-timestamp", "")
        auth.require(request.headers.get("x-edu-client"), own["app_key"])
        digest = hashlib.sha256(request.body).hexdigest()
        base = "\n".join((request.method, request.path, timestamp, digest)).encode()
        expected = base64.b64encode(auth.signature(own["app_secret"], base)).decode()
        auth.require(request.headers.get("x-edu-signature"), expected)
        # Reading the same page twice harms nobody: this system asks for no nonce.
        auth.Freshness().check(auth.number(timestamp))
