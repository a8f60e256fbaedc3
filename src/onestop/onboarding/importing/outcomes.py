"""What a department's "no" and "done" look like: refusals by status and by value, outcomes, references, repetition."""

from typing import Any, Final

from onestop.onboarding.importing.drafts import Draft, best_media, media_kind, not_ready, refusals
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Media, Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.replies import CODES, MESSAGES, Place
from onestop.onboarding.importing.rules_codes import meanings
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.shapes import as_elements
from onestop.onboarding.importing.vocabulary import known
from onestop.onboarding.importing.xml_shapes import with_attributes

_REASONS: Final = (
    "detail",
    "error_description",
    "reason",
    "message",
    "description",
    "msg",
    "errormessage",
    "title",
    "fout",
)
_GOOD: Final = known("outcome.good")
_BAD: Final = known("outcome.bad")
_COMPLETED: Final = known("outcome.completed")
_PENDING: Final = known("outcome.pending")
_DECLINED: Final = known("outcome.declined")
_CORRECTION: Final = known("outcome.correction")
_STATE: Final = known("outcome.members")
_OUTCOMES: Final = "completed|pending|declined|correction|extended|transferred"
OUTCOME_PAIRS: Final = rf"\s*[^=,]+=\s*({_OUTCOMES})\s*(,\s*[^=,]+=\s*({_OUTCOMES})\s*)*"
_BY_STATUS: Final = {404: "not_found", 410: "not_found", 423: "busy"}
_IDENTITIES: Final = (
    *("acceptanceno", "acceptancenumber", "id", "reference", "referencenumber", "number", "applicationid", "caseid"),
    *(
        "requestid",
        "servicerequestid",
        "orderid",
        "sqbh",
        "slbh",
        "bjbh",
        "sblsh",
        "ywh",
        "token",
        "identificatie",
        "kenmerk",
        "zaaknummer",
        "protocollo",
        "aktenzeichen",
    ),
)  # in order: the first that is there
_SERVERS: Final = ["Server", "soap:Server", "soapenv:Server", "SOAP-ENV:Server", "S:Server", "s:Server", "env:Server"]
_RECEIVERS: Final = [
    "soap:Receiver",
    "env:Receiver",
    "soapenv:Receiver",
    "S:Receiver",
    "s:Receiver",
    "SOAP-ENV:Receiver",
]


def error_cases(
    draft: Draft, place: Place | None, interview: Interview, notes: Notes, spot: Any
) -> list[dict[str, Any]]:
    """Return the manifest's `errors`: values inside an accepted reply first, then documented statuses."""
    if draft.described.soap is not None:
        return _faults(draft) + _values(draft, place, interview, notes, spot)
    cases = _values(draft, place, interview, notes, spot)
    if not_ready(draft):  # of a state nothing is known yet; any other read is asked again later
        cases.append({"status": 202, "outcome": "not_found" if draft.kind == "status" else "busy"})
    for status, answer in refusals(draft.described.answers):
        outcome = _by_status(draft, status)
        if outcome is None:
            continue
        case: dict[str, Any] = {"status": status, "outcome": outcome}
        media = best_media(answer.media, ("json", "xml"))
        reason = _reason(_as_read(media)) if media is not None else None
        if reason is not None:
            case["reason"] = reason
        if reason is not None or outcome != _default(status):
            cases.append(case)
    return cases


def _as_read(media: Media) -> Shape:
    return with_attributes(as_elements(media.shape)) if media_kind(media.type) == "xml" else media.shape


def _by_status(draft: Draft, status: int) -> str | None:
    if draft.kind in ("submit", "cancel"):
        special = {404: "invalid", 409: "declined", 402: "declined", 403: "denied", 401: "denied", 410: "declined"}
    else:
        special = {409: "invalid", 401: "denied", 403: "denied"}
    return special.get(status) or _BY_STATUS.get(status) or _default(status)


def _default(status: int) -> str:
    """Return what the gateway takes a status for where no case says so."""
    if status == 429:
        return "busy"
    if status in (401, 403):
        return "denied"
    return "down" if status >= 500 else "invalid"


def _reason(shape: Shape, path: str = "", depth: int = 0) -> str | None:
    """Return where a refusal's own sentence stands."""
    plain = {"".join(words_of(name)): name for name, part in shape.members.items() if part.kind in ("value", "any")}
    for word in _REASONS:
        name = plain.get("".join(words_of(word)))
        if name is not None and name.isidentifier() and name.isascii():
            return path + name
    for name in ("error", "errors", "fault", "problem"):
        part = shape.members.get(name)
        if part is not None and depth < 2:
            if part.kind == "object":
                return _reason(part, f"{path}{name}.", depth + 1)
            if part.kind == "list" and part.item is not None and part.item.kind == "object":
                return _reason(part.item, f"{path}{name}.0.", depth + 1)
    return None


def _faults(draft: Draft) -> list[dict[str, Any]]:
    soap = draft.described.soap
    assert soap is not None
    old = soap.version == "1.1"
    reason = "Fault.faultstring" if old else "Fault.Reason.Text"
    detail = "Fault.detail" if old else "Fault.Detail"
    meant = "declined" if draft.kind in ("submit", "cancel") else "invalid"
    cases: list[dict[str, Any]] = [
        {"path": f"{detail}.{fault}", "exists": True, "outcome": meant, "reason": reason}
        for fault in soap.faults
        if fault.isidentifier() and fault.isascii()
    ]
    code = "Fault.faultcode" if old else "Fault.Code.Value"
    cases.append({"path": code, "one_of": _SERVERS if old else _RECEIVERS, "outcome": "down", "reason": reason})
    cases.append({"path": "Fault", "exists": True, "outcome": "invalid", "reason": reason})
    return cases


def _values(draft: Draft, place: Place | None, interview: Interview, notes: Notes, spot: Any) -> list[dict[str, Any]]:
    """Return the refusals that come as values inside an accepted reply."""
    if place is None:
        return []
    envelope = place.envelope or (place.shape if place.shape.kind == "object" else None)
    if envelope is None:
        return []
    path = place.path[:-1] if place.envelope is not None else place.path
    prefix = "".join(f"{step}." for step in path)
    reason = next(
        (f"{prefix}{n}" for n in envelope.members if "".join(words_of(n)) in MESSAGES and n.isidentifier()),
        _reason(envelope, prefix),
    )
    for name, part in envelope.members.items():
        if "".join(words_of(name)) not in CODES or part.kind != "value" or not (name.isidentifier() and name.isascii()):
            continue
        case = _value_case(draft, prefix + name, part, interview)
        if case is not None:
            draft.whys["errors"] = f"`{name}` says inside a 200 whether it went well"
            return [case | ({"reason": reason} if reason else {})]
        if place.envelope is not None and draft.described.soap is None:
            notes.add("envelope_code", spot(part.pointer), "warning", operation=draft.id, name=name)
    return []


def _value_case(draft: Draft, path: str, part: Shape, interview: Interview) -> dict[str, Any] | None:
    if part.type == "boolean":
        return {"path": path, "equals": False, "outcome": _meant(draft, path, "false", interview, part)}
    values = [v for v in part.enum if isinstance(v, str | int) and not isinstance(v, bool)]
    if not values:
        values = [int(c) if part.type == "integer" and c.isdigit() else c for c in meanings(part.text)]
    good = [v for v in values if str(v).lower() in _GOOD]
    bad = [v for v in values if str(v).lower() in _BAD] or ([v for v in values if v not in good] if good else [])
    if not good or not bad or len(good) + len(bad) < len(values):
        return None
    return {"path": path, "one_of": bad, "outcome": _meant(draft, path, ", ".join(map(str, bad)), interview, part)}


def _meant(draft: Draft, path: str, values: str, interview: Interview, part: Shape) -> str:
    """Ask what a business "no" means; the default is the mild reading for queries, the plain one for submissions."""
    default = "declined" if draft.kind in ("submit", "cancel") else "invalid"
    choices = ("not_found", "denied", "invalid", "declined", "correction", "busy", "down")
    told = interview.ask(
        f"refusal.{draft.id}", "choice", about=part.pointer, default=default, choices=choices, say="refusal",
        path=path, values=values, operation=draft.id,
    )  # fmt: skip
    return str(told)


# --- outcomes of submissions ----------------------------------------------------------------------------------------


def outcome_map(draft: Draft, place: Place | None, notes: Notes, spot: Any) -> dict[str, Any] | None:
    """Return `reply.outcome` where a state with known values is told."""
    for path, part in _states(place):
        values = [str(v) for v in part.enum if not isinstance(v, bool)]
        if not values:
            continue
        told = meanings(part.text)
        mapped: dict[str, str] = {}
        unclear = []
        for value in values:
            outcome = outcome_of(value) or outcome_of(told.get(value, ""))
            if outcome is None:
                unclear.append(value)
            mapped[value] = outcome or "pending"
        if len(unclear) == len(values):
            continue
        if unclear:
            notes.add(
                "outcome_unclear", spot(part.pointer), "warning", operation=draft.id, values=", ".join(unclear[:10])
            )
        draft.whys["reply.outcome"] = f"the values of `{path}` as the document lists them; look at each"
        return {"path": path, "map": mapped}
    return None


def outcome_pairs(told: object) -> dict[str, str]:
    """Return what values of a state mean, from an answer that has the form of `OUTCOME_PAIRS`."""
    pairs = (pair.split("=", 1) for pair in str(told).split(","))
    return {value.strip(): outcome.strip() for value, outcome in pairs}


def has_state(place: Place | None) -> str | None:
    """Return where a state is told whose values the document does not list."""
    return next((path for path, part in _states(place) if not part.enum and part.type == "string"), None)


def _states(place: Place | None) -> list[tuple[str, Shape]]:
    if place is None or place.shape.kind != "object":
        return []
    prefix = "".join(f"{step}." for step in place.path)
    found: list[tuple[str, Shape]] = []
    for name, part in place.shape.members.items():
        if "".join(words_of(name)) not in _STATE or not (name.isidentifier() and name.isascii()):
            continue
        if part.kind == "value":
            found.append((prefix + name, part))
        for inner in ("status", "state", "code"):
            below = part.members.get(inner)
            if below is not None and below.kind == "value":
                found.append((f"{prefix}{name}.{inner}", below))
    return found


def outcome_of(value: str) -> str | None:
    """Return what a state's value means, None where its word is not known."""
    plain = "".join(words_of(value)) or value
    for words, outcome in (
        (_CORRECTION, "correction"), (_DECLINED, "declined"), (_PENDING, "pending"), (_COMPLETED, "completed"),
    ):  # fmt: skip
        if plain in words or any(not word.isascii() and word in value for word in words):
            return outcome
    return None


def reference(place: Place | None, headers: tuple[str, ...], wanted: str | None) -> tuple[str, str] | None:
    """Return key and value of `reply` that tell the department's own number: a member, else the Location header."""
    if place is not None and place.shape.kind == "object":
        prefix = "".join(f"{step}." for step in place.path)
        found = _identity(place.shape, wanted)
        if found is not None:
            return "reference", prefix + found
    if any(name.lower() == "location" for name in headers):
        return "reference_header", next(name for name in headers if name.lower() == "location")
    return None


def _identity(shape: Shape, wanted: str | None) -> str | None:
    plain = {"".join(words_of(n)): n for n, p in shape.members.items()
             if p.kind == "value" and n.isidentifier() and n.isascii()}  # fmt: skip
    told = "".join(words_of(wanted or ""))
    exact = plain.get(told) or plain.get(told.removesuffix("number").removesuffix("no") + "id")
    if exact is not None:
        return exact
    for word in _IDENTITIES:
        if word in plain:
            return plain[word]
    return next((name for word, name in plain.items() if word.endswith(("id", "no", "number")) and len(word) > 3), None)
