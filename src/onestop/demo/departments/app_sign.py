"""卫生健康委, health: app key, timestamp, nonce and HMAC sign; every answer is HTTP 200, its fate in `code`."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Effect, Refusal
from onestop.demo.departments.ledger import Entry
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply
from onestop.demo.people import Birth

IdNumber = Annotated[str, Meta(min_length=18, max_length=18)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Serial = Annotated[str, Meta(min_length=1, max_length=64)]
CompactDate = Annotated[str, Meta(pattern=r"^\d{8}$")]  # yyyyMMdd
FIRST_CERTIFICATE = 123

_CODES: dict[str, int] = {
    "unauthenticated": 40101,
    "bad_request": 40001,
    "unknown_path": 40400,
    "not_found": 40401,
    "no_such_serial": 40402,
    "moved": 40903,
    "declined": 40904,
    "correction": 40905,
    "key_reused": 40906,
    "differs": 40907,
    "broken": 50000,
}


class RecordsQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Whose birth records are asked for."""

    id_card_no: IdNumber


class IssueCertificate(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A first birth certificate; sex by GB/T 2261.1: 1 male, 2 female."""

    serial: Serial
    mother_id_no: IdNumber
    mother_name: Name
    father_id_no: IdNumber | None = None
    father_name: Name | None = None
    baby_name: Name
    sex: Annotated[str, Meta(pattern=r"^[12]$")]
    birth_date: CompactDate
    hospital_uscc: Annotated[str, Meta(min_length=18, max_length=18)] | None = None
    weight_gram: Annotated[int, Meta(ge=200, le=9000)] | None = None


class VaccinationCard(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A vaccination card for a child that need not have an identity number yet."""

    serial: Serial
    guardian_id_no: IdNumber
    guardian_name: Name
    baby_name: Name
    sex: Annotated[str, Meta(pattern=r"^[12]$")]
    birth_date: CompactDate
    certificate_no: Annotated[str, Meta(pattern=r"^Y99\d{7}$")] | None = None


class SerialQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The look-up of a submission by its serial."""

    serial: Serial


class Weijian:
    """The health commission's system."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fresh = auth.Freshness()

    async def answer(self, request: Request) -> Reply:
        """Serve the query, both submissions and the look-up."""
        self._check_sign(request)
        await self._desk.pace()
        match request.method, request.path:
            case "POST", "/openapi/birth-records/query":
                return await self._records(request)
            case "POST", "/openapi/birth-certificates/issue":
                return await self._issue(request)
            case "POST", "/openapi/vaccination-cards/apply":
                return await self._card(request)
            case "POST", "/openapi/serials/query":
                return self._look_up(request)
        raise Refusal("unknown_path", "接口不存在")

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer HTTP 200 with a code that is not 0."""
        return _envelope(_CODES[refusal.kind], refusal.sentence, refusal.facts)

    def _check_sign(self, request: Request) -> None:
        shown = [request.headers.get(name, "") for name in ("x-app-key", "x-timestamp", "x-nonce")]
        own = self._desk.secrets
        auth.require(shown[0], own["app_key"])
        base = "\n".join(shown).encode() + b"\n" + request.body
        auth.require(request.headers.get("x-sign"), auth.signature(own["app_secret"], base).hex())
        self._fresh.check(auth.number(shown[1]) / 1000, shown[2])

    async def _records(self, request: Request) -> Reply:
        query: RecordsQuery = _read(request, RecordsQuery)
        births = await self._desk.consult(request, query.id_card_no, lambda facts: facts.births)
        data = {
            "idCardNo": query.id_card_no,
            "name": self._desk.name(request, query.id_card_no),
            "asOf": self._desk.as_of(request).strftime("%Y-%m-%d %H:%M:%S"),
            "records": [self._record(query.id_card_no, birth) for birth in births],
        }
        return _envelope(0, "", data)

    def _record(self, mother: str, birth: Birth) -> dict[str, Any]:
        index = self._desk.ledger.person(mother)
        issued = [
            e.facts["certificateNo"]
            for e in self._desk.ledger.entries
            if e.operation == "issue_birth_certificate" and e.person == index and e.effect_id is not None
        ]
        return {
            "babyName": birth.child_name,
            "sex": "2" if birth.sex == "female" else "1",
            "birthDate": f"{birth.born_on:%Y%m%d}",
            "birthTime": birth.born_time,
            "weightGram": birth.weight_g,
            "lengthCm": birth.length_cm,
            "gestationWeeks": birth.gestation_weeks,
            "hospital": birth.hospital,
            "hospitalUscc": birth.hospital_uscc,
            "certificateNo": issued[0] if issued else None,
        }

    async def _issue(self, request: Request) -> Reply:
        asked: IssueCertificate = _read(request, IssueCertificate)
        people = (asked.mother_id_no, asked.father_id_no) if asked.father_id_no else (asked.mother_id_no,)

        def make() -> Effect:
            number = f"Y99{FIRST_CERTIFICATE + self._desk.ledger.count('issue_birth_certificate'):07d}"
            return number, {"certificateNo": number, "issuedAt": self._desk.now().strftime("%Y-%m-%d %H:%M:%S")}

        entry, new = await self._desk.take(request, "issue_birth_certificate", asked.serial, people, make)
        return self._told(entry, effect=new)

    async def _card(self, request: Request) -> Reply:
        asked: VaccinationCard = _read(request, VaccinationCard)

        def make() -> Effect:
            number = f"YM990102{self._desk.ledger.count('vaccination_card') + 1:06d}"
            return number, {"cardNo": number, "clinic": "临江区柳岸街道社区卫生服务中心"}

        entry, new = await self._desk.take(request, "vaccination_card", asked.serial, (asked.guardian_id_no,), make)
        return self._told(entry, effect=new)

    def _look_up(self, request: Request) -> Reply:
        entry = self._desk.ledger.by_key.get(_read(request, SerialQuery).serial)
        if entry is None:
            raise Refusal("no_such_serial", "没有该流水号对应的业务")
        return self._told(entry, effect=False)

    def _told(self, entry: Entry, *, effect: bool) -> Reply:
        phase = self._desk.phase(entry)
        if phase in ("declined", "correction"):
            sentence = {"declined": "不予办理", "correction": "材料需要补正"}[phase]
            return _envelope(_CODES[phase], sentence, {"serial": entry.key, **entry.facts})
        if phase == "moved":
            data = {"serial": entry.key, "status": "TRANSFERRED", **entry.facts}
        elif phase == "extended":
            data = {"serial": entry.key, "status": "EXTENDED", "dueOn": entry.facts["due_on"]}
        else:
            told = {name: value for name, value in entry.facts.items() if name != "due_on"}
            data = {"serial": entry.key, "status": "ISSUED", **told}
        return _envelope(0, "", data, effect=effect)


def _envelope(code: int, msg: str, data: dict[str, Any], *, effect: bool = False) -> Reply:
    return json_reply({"code": code, "msg": msg, "data": data}, effect=effect)


def _read(request: Request, shape: type[Any]) -> Any:
    try:
        return decoded(request.body, shape)
    except ValueError as fault:
        raise Refusal("bad_request", str(fault)) from fault
