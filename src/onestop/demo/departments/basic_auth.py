"""民政局, civil affairs: JSON behind HTTP Basic, and one request in twenty fails or is cut off."""

from typing import Annotated

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Broken, Cut, Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply

_STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "bad_request": 400,
    "unknown_path": 404,
    "not_found": 404,
    "moved": 404,
    "broken": 500,
}


class MarriageQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Whose entry in the marriage register is asked for."""

    id_card: Annotated[str, Meta(min_length=18, max_length=18)]


class Minzheng:
    """The marriage register: `POST /api/marriages/query`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the query, when this system feels like it."""
        desk = self._desk
        user, password = auth.basic(request.headers.get("authorization"))
        auth.require(user, desk.secrets["username"])
        auth.require(password, desk.secrets["password"])
        if (request.method, request.path) != ("POST", "/api/marriages/query"):
            raise Refusal("unknown_path", "接口不存在")
        match desk.faults.flaky():
            case "error":
                raise Broken
            case "cut":
                raise Cut
        await desk.pace()
        try:
            number = decoded(request.body, MarriageQuery).id_card
        except ValueError as fault:
            raise Refusal("bad_request", str(fault)) from fault
        found = await desk.consult(request, number, lambda facts: facts.marriage)
        result = {
            "idCard": number,
            "name": desk.name(request, number),
            "asOf": desk.as_of(request),
            "status": {"unmarried": "10", "married": "20", "widowed": "30", "divorced": "40"}[found.status],
            "spouse": {"name": found.spouse_name, "idCard": found.spouse_id} if found.spouse_id else None,
            "certificateNo": found.certificate_no,
            "registeredOn": found.registered_on,
            "office": found.office,
        }
        return json_reply({"success": True, "result": result})

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status and `success` false."""
        headers = {"www-authenticate": 'Basic realm="minzheng"'} if refusal.kind == "unauthenticated" else {}
        content = {"success": False, "errorCode": refusal.kind, "errorMsg": refusal.sentence, "result": None}
        return json_reply(content, _STATUS[refusal.kind], headers=headers)
