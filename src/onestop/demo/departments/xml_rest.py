"""城管局, urban management: XML over plain HTTP, an access token in a header of its own."""

from typing import Any

from lxml import etree

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, element, without_declaration

CONTENT_TYPE = "application/xml; charset=UTF-8"
_STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "bad_request": 400,
    "unknown_path": 404,
    "not_found": 404,
    "moved": 404,
    "broken": 500,
}


class Chengguan:
    """Permits for sign boards: `POST /rest/sign-permits/query`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the query for a person's permits."""
        desk = self._desk
        auth.require(request.headers.get("x-access-token"), desk.secrets["api_key"])
        if (request.method, request.path) != ("POST", "/rest/sign-permits/query"):
            raise Refusal("unknown_path", "接口不存在")
        await desk.pace()
        number = _holder(request.body)
        found = await desk.consult(request, number, lambda facts: facts.sign_permits)
        told = {
            "Holder": {"IdNo": number, "Name": desk.name(request, number)},
            "AsOf": desk.as_of(request),
            "Permits": {
                "Permit": [
                    {
                        "PermitNo": permit.permit_no,
                        "Subject": permit.subject,
                        "Place": permit.place,
                        "Size": permit.size,
                        "ValidUntil": f"{permit.valid_until:%Y/%m/%d}",
                        "Status": {"valid": "有效", "expired": "过期"}[permit.status],
                    }
                    for permit in found
                ]
            },
        }
        return _xml("SignPermitAnswer", told, 200)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status and an Error element."""
        return _xml("Error", {"Code": refusal.kind, "Message": refusal.sentence}, _STATUS[refusal.kind])


def _holder(body: bytes) -> str:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(without_declaration(body.decode()), parser)
    except (UnicodeDecodeError, ValueError, etree.XMLSyntaxError) as fault:
        raise Refusal("bad_request", "请求不是有效的 XML") from fault
    number = root.findtext("HolderId")
    if root.tag != "SignPermitQuery" or not number or len(root) != 1:
        raise Refusal("bad_request", "需要 SignPermitQuery/HolderId")
    return number.strip()


def _xml(name: str, content: dict[str, Any], status: int) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{element(name, content)}\n'
    return Reply(text.encode(), status, CONTENT_TYPE)
