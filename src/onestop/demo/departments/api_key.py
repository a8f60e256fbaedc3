"""Three systems behind an API key: 市场监管局 (JSON), 自然资源局 (3 calls a second), 公积金中心 (GB 18030)."""

import math
import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply

IdNumber = Annotated[str, Meta(min_length=18, max_length=18)]

_STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "bad_request": 400,
    "unknown_path": 404,
    "not_found": 404,
    "moved": 404,
    "too_many": 429,
    "broken": 500,
}


class HolderQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose businesses are asked for."""

    holder_id: IdNumber


class OwnerQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose properties are asked for."""

    owner_id: IdNumber


class AccountQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose housing fund account is asked for."""

    idno: IdNumber


class Shichang:
    """Market regulation: header `X-Api-Key`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the queries for a person's businesses, and for those the person acts for."""
        desk = self._desk
        auth.require(request.headers.get("x-api-key"), desk.secrets["api_key"])
        represents = request.path == "/v1/representations/query"
        _only(request, "/v1/representations/query" if represents else "/v1/businesses/query")
        await desk.pace()
        number = _read(request.body, HolderQuery).holder_id
        found = await desk.consult(request, number, lambda facts: facts.businesses)
        content: dict[str, Any] = {
            "holder_id": number,
            "name": desk.name(request, number),
            "as_of": desk.as_of(request),
        }
        if represents:
            open_ones = [one for one in found if one.status == "open"]
            content["organisations"] = [
                {"uscc": one.uscc, "name": one.name, "role": one.role, "since": one.registered_on} for one in open_ones
            ]
        else:
            content["businesses"] = found
        return json_reply(content)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status and an error in words."""
        content = {"error": refusal.kind, "message": refusal.sentence, **refusal.facts}
        return json_reply(content, _STATUS[refusal.kind])


class Ziran:
    """Natural resources: header `apikey`, and no more than three requests a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tokens = desk.faults.manners.rate_per_s
        self._filled_at = time.monotonic()

    async def answer(self, request: Request) -> Reply:
        """Serve the query for a person's properties."""
        desk = self._desk
        auth.require(request.headers.get("apikey"), desk.secrets["api_key"])
        _only(request, "/properties/query")
        self._take_token()
        await desk.pace()
        number = _read(request.body, OwnerQuery).owner_id
        found = await desk.consult(request, number, lambda facts: facts.properties)
        content = {
            "owner": {"id": number, "name": desk.name(request, number)},
            "updated": int(desk.as_of(request).timestamp() * 1000),
            "updated_at": desk.as_of(request),
            "list": found,
        }
        return json_reply(content)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status; a caller that comes too often is told when to come again."""
        content = {"err": refusal.kind, "desc": refusal.sentence}
        if refusal.kind == "too_many":
            return json_reply(content, 429, headers={"retry-after": str(refusal.facts["after_s"])})
        return json_reply(content, _STATUS[refusal.kind])

    def _take_token(self) -> None:
        rate = self._desk.faults.manners.rate_per_s
        now = time.monotonic()
        self._tokens = min(max(rate, 1.0), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1:
            raise Refusal("too_many", "请求过于频繁", after_s=math.ceil((1 - self._tokens) / rate))
        self._tokens -= 1


class Gjj:
    """The housing fund: header `X-Access-Key`, JSON in GB 18030 both ways."""

    _CONTENT_TYPE = "application/json; charset=GB18030"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the query for a person's account."""
        desk = self._desk
        auth.require(request.headers.get("x-access-key"), desk.secrets["api_key"])
        _only(request, "/gjj/account/query")
        await desk.pace()
        try:
            text = request.body.decode("gb18030")
        except UnicodeDecodeError as fault:
            raise Refusal("bad_request", "请求须为 GB18030 编码") from fault
        number = _read(text, AccountQuery).idno
        found = await desk.consult(request, number, lambda facts: facts.housing_fund)
        body = {
            "idno": number,
            "name": desk.name(request, number),
            "asof": f"{desk.as_of(request):%Y-%m-%d %H:%M:%S}",
            "account_no": found.account_no,
            "status": {"paying": "01", "suspended": "02", "closed": "09"}[found.status],
            "status_text": {"paying": "正常缴存", "suspended": "封存", "closed": "销户"}[found.status],
            "balance_fen": found.balance_fen,
            "monthly_fen": found.monthly_fen,
            "last_paid_month": found.last_paid_month,
        }
        return self._json({"ret": "0", "msg": "成功", "body": body}, 200)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status, a return code and a message."""
        code = {"not_found": "1404", "moved": "1405", "unauthenticated": "1401"}.get(refusal.kind, "1500")
        return self._json({"ret": code, "msg": refusal.sentence, "body": None}, _STATUS[refusal.kind])

    def _json(self, content: Any, status: int) -> Reply:
        return Reply(msgspec.json.encode(content).decode().encode("gb18030"), status, self._CONTENT_TYPE)


def _only(request: Request, path: str) -> None:
    if (request.method, request.path) != ("POST", path):
        raise Refusal("unknown_path", "接口不存在")


def _read(body: bytes | str, shape: type[Any]) -> Any:
    try:
        return decoded(body, shape)
    except ValueError as fault:
        raise Refusal("bad_request", str(fault)) from fault
