"""税务局, taxation: a form goes in, XML comes out, and the token stands in the query string, where it should not."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Refusal
from onestop.demo.departments.wire import Reply, Request, element

CONTENT_TYPE = "text/xml;charset=UTF-8"
_CODES: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "E401"),
    "bad_request": (400, "E400"),
    "unknown_path": (404, "E000"),
    "not_found": (200, "E404"),
    "moved": (200, "E410"),
    "broken": (500, "E500"),
}


class Shuiwu:
    """The tax system: `POST /taxquery.do?token=…`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, request: Request) -> Reply:
        """Serve the summary of a person's income tax, amounts in yuan."""
        desk = self._desk
        auth.require(request.query.get("token"), desk.secrets["api_key"])
        if (request.method, request.path) != ("POST", "/taxquery.do"):
            raise Refusal("unknown_path", "接口不存在")
        await desk.pace()
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if form.get("op") != "TAX_SUMMARY" or form.keys() - {"op", "idno"}:
            raise Refusal("bad_request", "参数 op、idno 不正确")
        number = form.get("idno", "")
        years = await desk.consult(request, number, lambda facts: facts.taxes)
        data = {
            "idno": number,
            "xm": desk.name(request, number),
            "gxsj": f"{desk.as_of(request):%Y%m%d%H%M%S}",
            "item": [
                {
                    "nd": year.year,
                    "srje": _yuan(year.income_fen),
                    "ynse": _yuan(year.tax_fen),
                    "tbse": _yuan(year.settled_fen),
                    "zt": {"settled": "1", "open": "0"}[year.status],
                }
                for year in years
            ],
        }
        return _xml(200, "0000", "", data)

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a code; a person without a record is HTTP 200 all the same."""
        status, code = _CODES[refusal.kind]
        return _xml(status, code, refusal.sentence, {})


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _xml(status: int, code: str, message: str, data: Mapping[str, object]) -> Reply:
    text = element("response", {"code": code, "msg": message, "data": data})
    return Reply(f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), status, CONTENT_TYPE)
