"""Calls each department as its wire protocol demands, written apart from both sides' code."""

import base64
import hashlib
import hmac
import json
import secrets as random
import time
from typing import Any
from xml.sax.saxutils import escape

import httpx

LIN, ZHOU, CHEN, SHEN = "990102199203140221", "990102199008210351", "990103198506300175", "990121200104070736"
TRIGGERS = {
    901: "990102198001019015",
    902: "990102198001019023",
    903: "990102198001019031",
    904: "99010219800101904X",
    905: "990102198001019058",
    906: "990102198001019066",
    907: "990102198001019074",
    908: "990102198001019082",
    909: "990102198001019090",
    910: "990102198001019103",
    911: "990102198001019111",
}
SOAP_NS = "http://schemas.xmlsoap.org/soap/envelope/"
QUERIES: dict[str, tuple[str, Any]] = {
    "gongan": ("/api/v1/households/query", lambda n: {"citizen_id": n}),
    "weijian": ("/openapi/birth-records/query", lambda n: {"idCardNo": n}),
    "renshe": ("/social-insurance/query", lambda n: {"id_number": n}),
    "yibao": ("/services/MedicalInsurance", lambda n: soap("QueryInsured", IdNo=n)),
    "shichang": ("/v1/businesses/query", lambda n: {"holder_id": n}),
    "shuiwu": ("/taxquery.do", lambda n: f"op=TAX_SUMMARY&idno={n}".encode()),
    "minzheng": ("/api/marriages/query", lambda n: {"idCard": n}),
    "jiaoyu": ("/api/studies/search", lambda n: {"id_no": n, "page": 1, "size": 2}),
    "ziran": ("/properties/query", lambda n: {"owner_id": n}),
    "gjj": ("/gjj/account/query", lambda n: {"idno": n}),
    "chengguan": ("/rest/sign-permits/query", lambda n: f"<SignPermitQuery><HolderId>{n}</HolderId></SignPermitQuery>"),
    "xiaofang": ("/fire/checks", lambda n: {"holder": n}),
}


def soap(operation: str, **elements: str) -> bytes:
    """Write a SOAP 1.1 request in GB 18030."""
    inner = "".join(f"<y:{name}>{escape(text)}</y:{name}>" for name, text in elements.items())
    return (
        '<?xml version="1.0" encoding="GB18030"?>'
        f'<soap:Envelope xmlns:soap="{SOAP_NS}"><soap:Body><y:{operation} xmlns:y="urn:yunxi:yibao:1">{inner}'
        f"</y:{operation}></soap:Body></soap:Envelope>"
    ).encode("gb18030")


def sign(secret: str, base: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.new(secret.encode(), base, hashlib.sha256).digest()


class Caller:
    """Calls one department with its secrets; `skew_s` moves the caller's clock, `spoil` breaks what it shows."""

    def __init__(self, department: str, url: str, secrets: dict[str, str], client: httpx.Client) -> None:
        self.department, self.url, self.secrets, self.client = department, url, secrets, client
        self._token = ""

    def query(self, number: str, **how: Any) -> httpx.Response:
        """Ask the department's one query about a person."""
        path, body = QUERIES[self.department]
        return self.send("POST", path, body(number), **how)

    def send(
        self,
        method: str,
        path: str,
        content: Any = None,
        *,
        skew_s: int = 0,
        spoil: bool = False,
        nonce: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 5.0,
    ) -> httpx.Response:
        """Send one request, encoded and authenticated in the department's way."""
        body, kind = self._encode(content)
        shown = self._authenticate(method, path, body, int(time.time()) + skew_s, nonce or random.token_hex(8), spoil)
        if self.department == "shuiwu":
            path += "?token=" + shown.pop("token")
        everything = {"content-type": kind, **shown, **(headers or {})}
        return self.client.request(method, self.url + path, content=body, headers=everything, timeout=timeout)

    def token(self, secret: str | None = None) -> httpx.Response:
        """Ask gongan's token endpoint."""
        auth = (self.secrets["client_id"], secret or self.secrets["client_secret"])
        return self.client.post(self.url + "/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)

    def control(self, path: str, order: dict[str, Any] | None = None, secret: str | None = None) -> httpx.Response:
        """Use the control door: GET without an order, POST with one."""
        headers = {"X-Sandbox-Control": secret or self.secrets["control_secret"]}
        if order is None:
            return self.client.get(self.url + path, headers=headers)
        return self.client.post(self.url + path, headers=headers, json=order)

    def ledger(self, key: str) -> list[dict[str, Any]]:
        """Return the ledger's entries of one key."""
        entries: list[dict[str, Any]] = self.control("/_ledger").json()["entries"]
        return [entry for entry in entries if entry["key"] == key]

    def _encode(self, content: Any) -> tuple[bytes, str]:
        match self.department, content:
            case _, None:
                return b"", "application/octet-stream"
            case "yibao", _:
                return content, "text/xml; charset=GB18030"
            case "gjj" | "chengguan", bytes():
                return content, "set by the caller"
            case "shuiwu", _:
                return content, "application/x-www-form-urlencoded"
            case "chengguan", _:
                return content.encode(), "application/xml; charset=UTF-8"
            case "gjj", _:
                text = json.dumps(content, ensure_ascii=False)
                return text.encode("gb18030"), "application/json; charset=GB18030"
        if isinstance(content, bytes):
            return content, "application/json"
        return json.dumps(content, ensure_ascii=False).encode(), "application/json"

    def _authenticate(self, method: str, path: str, body: bytes, now: int, nonce: str, spoil: bool) -> dict[str, str]:
        own = {name: value + "x" * spoil for name, value in self.secrets.items()}
        match self.department:
            case "gongan":
                self._token = self._token or self.token().json()["access_token"]
                return {"authorization": f"Bearer {self._token}{'x' * spoil}"}
            case "weijian":
                base = f"{own['app_key']}\n{now * 1000}\n{nonce}\n".encode() + body
                signed = sign(own["app_secret"], base).hex()
                return {"x-app-key": own["app_key"], "x-timestamp": f"{now * 1000}", "x-nonce": nonce, "x-sign": signed}
            case "yibao":
                base = f"{own['app_key']}\n{now}\n{nonce}\n{hashlib.sha256(body).hexdigest()}".encode()
                signed = sign(own["app_secret"], base).hex()
                return {"x-app-key": own["app_key"], "x-timestamp": f"{now}", "x-nonce": nonce, "x-sign": signed}
            case "jiaoyu":
                base = f"{method}\n{path}\n{now}\n{hashlib.sha256(body).hexdigest()}".encode()
                signed = base64.b64encode(sign(own["app_secret"], base)).decode()
                return {"x-edu-client": own["app_key"], "x-edu-timestamp": f"{now}", "x-edu-signature": signed}
            case "minzheng":
                pair = base64.b64encode(f"{own['username']}:{own['password']}".encode()).decode()
                return {"authorization": f"Basic {pair}"}
            case "shuiwu":
                return {"token": own["api_key"]}
        names = {
            "renshe": "x-api-key",
            "shichang": "x-api-key",
            "ziran": "apikey",
            "gjj": "x-access-key",
            "chengguan": "x-access-token",
            "xiaofang": "x-fire-token",
        }
        return {names[self.department]: own["api_key"]}
