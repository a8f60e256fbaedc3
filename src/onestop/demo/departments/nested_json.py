"""消防支队, fire and rescue: slow, and its JSON carries the records as a text that is JSON once more."""

from typing import Annotated

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply

_CODES: dict[str, tuple[int, int]] = {
    "unauthenticated": (401, 401),
    "bad_request": (400, 400),
    "unknown_path": (404, 405),
    "not_found": (200, 404),
    "moved": (200, 410),
    "broken": (500, 500),
}


class CheckQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose fire checks are asked for."""

    holder: Annotated[str, Meta(min_length=18, max_length=18)]


class Xiaofang:
    """Fire checks: `POST /fire/checks`, header `X-Fire-Token`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the query for the checks of a person's premises."""
        desk = self._desk
        auth.require(request.headers.get("x-fire-token"), desk.secrets["api_key"])
        if (request.method, request.path) != ("POST", "/fire/checks"):
            raise Refusal("unknown_path", "接口不存在")
        await desk.pace()
        try:
            number = decoded(request.body, CheckQuery).holder
        except ValueError as fault:
            raise Refusal("bad_request", str(fault)) from fault
        found = await desk.consult(request, number, lambda facts: facts.fire_checks)
        told = {
            "ret": 0,
            "msg": "",
            "holder": number,
            "name": desk.name(request, number),
            "time": f"{desk.as_of(request):%Y/%m/%d %H:%M:%S}",
            "data": msgspec.json.encode(found).decode(),
        }
        return json_reply(told)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a return code; only faults of the caller or the system show in the status."""
        status, code = _CODES[refusal.kind]
        return json_reply({"ret": code, "msg": refusal.sentence, "data": ""}, status)
