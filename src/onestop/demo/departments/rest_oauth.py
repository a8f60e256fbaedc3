"""公安局, the police: REST and JSON behind OAuth 2 client credentials; effects idempotent by `Idempotency-Key`."""

import base64
import hashlib
import secrets
import time
from datetime import date
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote_plus

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Effect, Refusal
from onestop.demo.departments.ledger import Entry
from onestop.demo.departments.newborn import Numbers
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply
from onestop.demo.people import Household, Sex, by_number

TOKEN_LIFE_S = 600
IdNumber = Annotated[str, Meta(min_length=18, max_length=18)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]

_REFUSALS: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "INVALID_TOKEN"),
    "bad_request": (400, "INVALID_REQUEST"),
    "unknown_path": (404, "NO_SUCH_RESOURCE"),
    "not_found": (404, "PERSON_NOT_FOUND"),
    "no_such_serial": (404, "NO_SUCH_KEY"),
    "differs": (422, "RECORD_DIFFERS"),
    "moved": (409, "HANDLED_ELSEWHERE"),
    "declined": (409, "DECLINED"),
    "correction": (422, "CORRECTION_NEEDED"),
    "key_reused": (422, "KEY_REUSED"),
    "broken": (500, "INTERNAL"),
}


class HouseholdQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose household register, or whose wards, are asked for."""

    citizen_id: IdNumber


class Birth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A birth to be registered, told by its mother."""

    birth_certificate_no: Annotated[str, Meta(pattern=r"^Y99\d{7}$")]
    name: Name
    sex: Sex
    born_on: date
    mother_id: IdNumber
    mother_name: Name
    father_id: IdNumber | None = None
    father_name: Name | None = None
    division: Annotated[str, Meta(pattern=r"^99\d{4}$")] = "990102"


class Gongan:
    """The police's system."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._numbers = Numbers([e.facts["citizen_id"] for e in desk.ledger.entries if "citizen_id" in e.facts])

    async def answer(self, request: Request) -> Reply:
        """Serve the token endpoint, the queries for households and guardianships, births and their look-up."""
        if (request.method, request.path) == ("POST", "/oauth/token"):
            return self._token(request)
        self._check_token(request)
        await self._desk.pace()
        match request.method, request.path.split("/"):
            case "POST", ["", "api", "v1", "households", "query"]:
                return await self._household(request)
            case "POST", ["", "api", "v1", "guardianships", "query"]:
                return await self._guardianships(request)
            case "POST", ["", "api", "v1", "births"]:
                return await self._register(request)
            case "GET", ["", "api", "v1", "births", "by-key", key]:
                entry = self._desk.ledger.by_key.get(key)
                if entry is None:
                    raise Refusal("no_such_serial", "没有该幂等键对应的业务")
                return self._told(entry, effect=False)
        raise Refusal("unknown_path", "接口不存在")

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status and an error object."""
        status, code = _REFUSALS[refusal.kind]
        error = {"code": code, "message": refusal.sentence, **refusal.facts}
        headers = {"www-authenticate": 'Bearer error="invalid_token"'} if status == 401 else {}
        return json_reply({"error": error}, status, headers=headers)

    def _token(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        user, password = auth.basic(request.headers.get("authorization"))
        user, password = user or form.get("client_id", ""), password or form.get("client_secret", "")
        own = self._desk.secrets
        user, password = unquote_plus(user), unquote_plus(password)
        if not (auth.same(user, own["client_id"]) and auth.same(password, own["client_secret"])):
            return json_reply({"error": "invalid_client"}, 401, headers={"www-authenticate": "Basic"})
        if form.get("grant_type") != "client_credentials":
            return json_reply({"error": "unsupported_grant_type"}, 400)
        # A signed token needs no memory: it stays good over a restart of this system.
        claim = f"{int(time.time()) + TOKEN_LIFE_S}.{secrets.token_hex(8)}"
        token = f"{claim}.{self._seal(claim)}"
        content = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S}
        return json_reply(content, headers={"cache-control": "no-store"})

    def _seal(self, claim: str) -> str:
        digest = auth.signature(self._desk.secrets["token_key"], claim.encode())
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claim, _, seal = token.rpartition(".")
        expires = claim.partition(".")[0]
        if scheme.lower() != "bearer" or not auth.same(seal, self._seal(claim)) or time.time() >= float(expires):
            raise Refusal("unauthenticated", "访问令牌无效或已过期")

    async def _household(self, request: Request) -> Reply:
        number = _read(request, HouseholdQuery).citizen_id
        household = await self._desk.consult(request, number, lambda facts: facts.household)
        content = {
            "citizen_id": number,
            "name": self._desk.name(request, number),
            "as_of": self._desk.as_of(request),
            "household": {**msgspec.to_builtins(household), "members": self._members(household)},
        }
        return json_reply(content)

    async def _guardianships(self, request: Request) -> Reply:
        number = _read(request, HouseholdQuery).citizen_id
        facts = await self._desk.consult(request, number, lambda facts: facts if facts.household else None)
        wards = [msgspec.to_builtins(ward) for ward in facts.wards]
        if facts.household and _is_parent(facts.household, number):
            born = self._members(facts.household)[len(facts.household.members) :]
            today = self._desk.now().date().isoformat()
            wards += [{"id_number": child["id_number"], "name": child["name"], "since": today} for child in born]
        content = {
            "citizen_id": number,
            "name": self._desk.name(request, number),
            "as_of": self._desk.as_of(request),
            "wards": wards,
        }
        return json_reply(content)

    def _members(self, household: Household) -> list[dict[str, Any]]:
        members: list[dict[str, Any]] = [msgspec.to_builtins(m) for m in household.members]
        for entry in self._desk.ledger.entries:
            if entry.facts.get("household_no") == household.household_no:
                born = {"id_number": entry.facts["citizen_id"], "name": entry.facts["name"], "relation": "child"}
                members.append(born)
        return members[:200]

    async def _register(self, request: Request) -> Reply:
        key = request.headers.get("idempotency-key", "")
        if not 1 <= len(key) <= 128:
            raise Refusal("bad_request", "缺少 Idempotency-Key 请求头", field="Idempotency-Key")
        birth = _read(request, Birth)
        people = (birth.mother_id, birth.father_id) if birth.father_id else (birth.mother_id,)
        entry, new = await self._desk.take(request, "register_birth", key, people, lambda: self._enter(birth))
        return self._told(entry, effect=new)

    def _enter(self, birth: Birth) -> Effect:
        parent = by_number().get(birth.mother_id) or by_number().get(birth.father_id or "")
        household = parent.facts.household if parent else None
        registration_no = f"HK990102{self._desk.ledger.count('register_birth') + 1:06d}"
        return registration_no, {
            "registration_no": registration_no,
            "citizen_id": self._numbers.next(birth.division, birth.born_on, birth.sex),
            "name": birth.name,
            "household_no": household.household_no if household else f"{birth.division}{_short(birth.mother_id)}",
            "registered_at": self._desk.now().isoformat(),
        }

    def _told(self, entry: Entry, *, effect: bool) -> Reply:
        phase = self._desk.phase(entry)
        if phase == "declined":
            return self.refuse(Refusal("declined", "不予登记", **entry.facts))
        if phase == "correction":
            return self.refuse(Refusal("correction", "需要补正", **entry.facts))
        replay = {} if effect else {"idempotent-replay": "true"}
        if phase == "moved":
            return json_reply({"status": "handled_elsewhere", **entry.facts}, 200, effect=effect, headers=replay)
        if phase == "extended":
            content = {"status": "extended", "due_on": entry.facts["due_on"]}
            return json_reply(content, 202, effect=effect, headers=replay)
        told = {name: value for name, value in entry.facts.items() if name != "due_on"}
        return json_reply({"status": "registered", **told}, 201, effect=effect, headers=replay)


def _is_parent(household: Household, number: str) -> bool:
    return any(one.id_number == number and one.relation in ("head", "spouse") for one in household.members)


def _short(text: str) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 1_000_000).zfill(6)


def _read(request: Request, shape: type[Any]) -> Any:
    try:
        return decoded(request.body, shape)
    except ValueError as fault:
        raise Refusal("bad_request", str(fault)) from fault
