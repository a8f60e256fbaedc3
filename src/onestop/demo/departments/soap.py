"""医保局, medical insurance: SOAP 1.1 in GB 18030; claims are decided later and asked for by polling."""

import hashlib
from typing import Any

from lxml import etree

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Effect, Refusal
from onestop.demo.departments.ledger import Entry
from onestop.demo.departments.wire import Reply, Request, element, without_declaration
from onestop.demo.people import is_id_number

PATH = "/services/MedicalInsurance"
NAMESPACE = "urn:yunxi:yibao:1"
CONTENT_TYPE = "text/xml; charset=GB18030"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
CLAIM_FEN = 526_000
FEE_FEN = 40_000

_FAULTS: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "Client.Authentication"),
    "bad_request": (500, "Client.BadRequest"),
    "unknown_path": (404, "Client.NoSuchService"),
    "not_found": (500, "Client.PersonNotFound"),
    "no_such_serial": (500, "Client.SerialNotFound"),
    "differs": (500, "Client.RecordDiffers"),
    "moved": (500, "Client.RecordMoved"),
    "declined": (500, "Client.Declined"),
    "correction": (500, "Client.CorrectionNeeded"),
    "duplicate": (500, "Client.DuplicateSerial"),
    "broken": (500, "Server"),
}
# Operation → the elements it must have and those it may have; anything else is a mistake.
_OPERATIONS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "QueryInsured": (frozenset({"IdNo"}), frozenset()),
    "EnrolResident": (frozenset({"Serial", "IdNo", "Name"}), frozenset({"GuardianIdNo", "GuardianName", "Year"})),
    "ClaimMaternity": (
        frozenset({"Serial", "IdNo", "Name", "BirthCertificateNo", "BirthDate"}),
        frozenset({"BankAccount"}),
    ),
    "QueryClaim": (frozenset({"AcceptanceNo"}), frozenset()),
    "QueryBySerial": (frozenset({"Serial"}), frozenset()),
}
_STATUS = {"pending": "PENDING", "done": "APPROVED", "moved": "TRANSFERRED"}


class Yibao:
    """The medical insurance system."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fresh = auth.Freshness()

    async def answer(self, request: Request) -> Reply:
        """Serve the five operations of the one service address."""
        self._check_sign(request)
        if (request.method, request.path) != ("POST", PATH):
            raise Refusal("unknown_path", "服务不存在")
        operation, given = _operation(request)
        match operation:
            case "QueryInsured":
                return await self._insured(request, given["IdNo"])
            case "EnrolResident":
                return await self._enrol(request, given)
            case "ClaimMaternity":
                return await self._claim(request, given)
            case "QueryClaim":
                entry = self._desk.ledger.by_receipt.get(given["AcceptanceNo"])
                return self._found("QueryClaim", entry)
        return self._found("QueryBySerial", self._desk.ledger.by_key.get(given["Serial"]))

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a SOAP Fault; the code behind the dot tells the reason."""
        status, code = _FAULTS[refusal.kind]
        detail = {f"y:{name}": str(value) for name, value in refusal.facts.items() if isinstance(value, str)}
        fault = {"faultcode": f"soap:{code}", "faultstring": refusal.sentence}
        inner = "".join(element(name, text) for name, text in fault.items())
        if detail:
            inner += element("detail", detail, f' xmlns:y="{NAMESPACE}"')
        return _envelope(f"<soap:Fault>{inner}</soap:Fault>", status)

    def _check_sign(self, request: Request) -> None:
        shown = [request.headers.get(name, "") for name in ("x-app-key", "x-timestamp", "x-nonce")]
        own = self._desk.secrets
        auth.require(shown[0], own["app_key"])
        base = "\n".join([*shown, hashlib.sha256(request.body).hexdigest()]).encode()
        auth.require(request.headers.get("x-sign"), auth.signature(own["app_secret"], base).hex())
        self._fresh.check(auth.number(shown[1]), shown[2])

    async def _insured(self, request: Request, number: str) -> Reply:
        found = await self._desk.consult(request, number, lambda facts: facts.medical_insurance)
        told = {
            "IdNo": number,
            "Name": self._desk.name(request, number),
            "AsOf": f"{self._desk.as_of(request):%Y%m%d%H%M%S}",
            "InsuredType": {"employee": "310", "resident": "390"}[found.kind],
            "Status": {"active": "1", "suspended": "2"}[found.status],
            "PaidThrough": found.paid_through.replace("-", ""),
            "AccountBalance": f"{found.account_fen / 100:.2f}",
            "HomeRegion": found.home_region,
        }
        return _answer("QueryInsured", told)

    async def _enrol(self, request: Request, given: dict[str, str]) -> Reply:
        if not is_id_number(given["IdNo"]):
            raise Refusal("bad_request", "参保人公民身份号码校验码不正确", field="IdNo")
        guardian = given.get("GuardianIdNo")
        people = (guardian, given["IdNo"]) if guardian else (given["IdNo"],)

        def make() -> Effect:
            number = f"YB990100{self._desk.ledger.count('enrol_resident') + 1:08d}"
            effective = f"{self._desk.now():%Y-%m-%d}"
            return number, {"EnrolmentNo": number, "EffectiveFrom": effective, "FeeFen": FEE_FEN}

        entry, new = await self._desk.take(request, "enrol_resident", given["Serial"], people, make, replays=False)
        phase = self._desk.phase(entry)
        if phase == "declined":
            raise Refusal("declined", entry.facts["reason"])
        if phase == "correction":
            raise Refusal("correction", entry.facts["corrections"][0]["reason"])
        return _answer("EnrolResident", self._told(entry), effect=new)

    async def _claim(self, request: Request, given: dict[str, str]) -> Reply:
        def make() -> Effect:
            number = f"SY990100{self._desk.ledger.count('maternity_claim') + 1:06d}"
            paid_on = f"{self._desk.now():%Y-%m-%d}"
            return number, {"ClaimNo": number, "AmountFen": CLAIM_FEN, "PaidOn": paid_on}

        entry, new = await self._desk.take(
            request,
            "maternity_claim",
            given["Serial"],
            (given["IdNo"],),
            make,
            due_ms=self._desk.faults.manners.delay_ms,
            receipt="YBSL",
            replays=False,
        )
        told = {"Serial": entry.key, "AcceptanceNo": entry.facts["receipt"], "Status": "ACCEPTED"}
        return _answer("ClaimMaternity", told, effect=new)

    def _found(self, operation: str, entry: Entry | None) -> Reply:
        if entry is None:
            raise Refusal("no_such_serial", "没有对应的业务")
        return _answer(operation, self._told(entry))

    def _told(self, entry: Entry) -> dict[str, Any]:
        """Say how far a submission is and, once done, what came of it."""
        phase = self._desk.phase(entry)
        facts = entry.facts
        told: dict[str, Any] = {"Serial": entry.key, "Operation": entry.operation}
        if "receipt" in facts:
            told["AcceptanceNo"] = facts["receipt"]
        enrolled = (entry.operation, phase) == ("enrol_resident", "done")
        told["Status"] = "ENROLLED" if enrolled else _STATUS.get(phase, phase.upper())
        match phase:
            case "done":
                names = ("EnrolmentNo", "EffectiveFrom", "FeeFen", "ClaimNo", "AmountFen", "PaidOn")
                told |= {name: facts[name] for name in names if name in facts}
            case "extended":
                told["DueOn"] = facts["due_on"]
            case "declined":
                told["Reason"] = facts["reason"]
            case "correction":
                told["Reason"] = facts["corrections"][0]["reason"]
            case "moved":
                told["Region"] = facts["region"]
        return told


def _operation(request: Request) -> tuple[str, dict[str, str]]:
    """Read the operation's name and its elements, by local name.

    Raises:
        Refusal: not GB 18030, not XML, not one known operation with exactly its elements.
    """
    content_type = request.headers.get("content-type", "").lower().replace(" ", "").replace('"', "")
    if not content_type.startswith("text/xml") or not content_type.endswith("charset=gb18030"):
        raise Refusal("bad_request", "请求须为 text/xml; charset=GB18030")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(without_declaration(request.body.decode("gb18030")), parser)
    except (UnicodeDecodeError, ValueError, etree.XMLSyntaxError) as fault:
        raise Refusal("bad_request", "请求报文不是有效的 XML") from fault
    body = root.find(f"{{{ENVELOPE}}}Body")
    inside = [] if body is None else list(body.iterchildren("*"))
    if root.tag != f"{{{ENVELOPE}}}Envelope" or len(inside) != 1:
        raise Refusal("bad_request", "请求报文不是 SOAP 1.1")
    called = etree.QName(inside[0])
    if called.namespace != NAMESPACE or called.localname not in _OPERATIONS:
        raise Refusal("bad_request", "没有该操作")
    given = {etree.QName(child).localname: (child.text or "").strip() for child in inside[0].iterchildren("*")}
    given = {name: value for name, value in given.items() if value}
    must, may = _OPERATIONS[called.localname]
    wrong = sorted((must - given.keys()) | (given.keys() - must - may))
    if wrong:
        raise Refusal("bad_request", f"缺少或多余的元素：{'、'.join(wrong)}", field=wrong[0])
    return called.localname, given


def _answer(operation: str, told: dict[str, Any], *, effect: bool = False) -> Reply:
    return _envelope(element(f"{operation}Response", told, f' xmlns="{NAMESPACE}"'), 200, effect=effect)


def _envelope(inner: str, status: int, *, effect: bool = False) -> Reply:
    body = element("soap:Envelope", {}, f' xmlns:soap="{ENVELOPE}"').replace(
        "></soap:Envelope>", f"><soap:Body>{inner}</soap:Body></soap:Envelope>"
    )
    text = f'<?xml version="1.0" encoding="GB18030"?>\n{body}\n'
    return Reply(text.encode("gb18030"), status, CONTENT_TYPE, effect=effect)
