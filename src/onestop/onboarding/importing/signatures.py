"""A signature that a document tells only by its parameters, into an `[auth]` recipe; what it does not say is asked."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from onestop.gateway.auth.recipes import PLACES
from onestop.onboarding.importing import rules_signing as rules
from onestop.onboarding.importing.drafts import Draft, media_kind
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Description, Shape, Spot
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.rules_names import words_of

_TEXT: Final = r"[^{}\x00-\x08]|\{\{|\}\}"
_RECIPE: Final = (
    rf"(?:{_TEXT}|\{{(?:{'|'.join(sorted(PLACES.keys() - {'token', 'signature'}))}|app_key|secret"
    r"|(?:secret|config)\.[A-Za-z_]\w{0,40}|time(?:_utc)?\([^(){}]{1,40}\))\}){1,500}"
)
_MESSAGE_ALGORITHMS: Final = ("hmac-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256", "ecdsa-p256-sha256", "ed25519")
_PRIVATE: Final = ("rsa-sha256", "rsa-sha1", "rsa-pss-sha256", "ecdsa-sha256", "ed25519", "sm2-sm3")
_SAYS: Final = {"app_key": "app key", "app_secret": "app secret", "key_id": "id of our key", "token": "shared token"}
_KEY: Final = {"sign_key": "our private key (PEM or JWK; sm2: hex)"}
_UNKNOWN_TO_THEM: Final = re.compile(r"\{(?:timestamp|timestamp_ms|time(?:_utc)?\([^()]+\)|nonce|uuid)\}")
_HEADER: Final = re.compile(r"(?<![\w-])[xX](?:-[A-Za-z0-9]+){1,5}(?![\w-])")
_TABLES: Final = {"header": "headers", "query": "query", "body": "body"}


class Carrier(NamedTuple):
    """One value of a request that takes part in a signature."""

    role: rules.Role | None  # None: a key that is sent along as it is
    place: str  # header, query or body
    name: str
    shape: Shape
    text: str
    required: bool


class Signature:
    """What the chosen operations tell of a signature; `found` is False where they tell of none."""

    def __init__(self, description: Description, drafts: list[Draft], interview: Interview, notes: Notes) -> None:
        self._drafts, self._interview, self._notes = drafts, interview, notes
        self._carriers = _carriers(description, drafts)
        said = (*(c.text for c in self._carriers), *(draft.described.about for draft in drafts))
        self._text = " ".join((description.about, *said))
        self._says = " ".join(scheme.says.lower() for scheme in description.schemes.values() if scheme.kind == "other")
        # Where other ways are declared, such headers may be those of the department's own calls to others.
        if not description.schemes or any(carrier.role == "sign" for carrier in self._carriers):
            self._carriers += _mentioned(self._text, self._carriers)
        self._by_name = {c.name.lower(): c for c in self._carriers if c.place == "header"}
        self._pointer = drafts[0].described.pointer if drafts else ""
        self._secrets: dict[str, str] = {}
        self.found = self._recognised()

    def _recognised(self) -> bool:
        roles = {c.role for c in self._carriers}
        if self._is_message() or self._is_cavage():
            return True
        sign = next((c for c in self._carriers if c.role == "sign"), None)
        beside = roles & {"app", "stamp", "nonce", "covered"}
        # In a body a signature may be a person's own: one member more must speak for a caller's.
        return sign is not None and len(beside) >= (2 if sign.place == "body" else 1)

    def taken(self) -> tuple[dict[str, Any], dict[str, str], set[str]]:
        """Return `[auth]`, what the environment must tell for it, and the parameters it fills, each with its place."""
        if self._is_message():
            auth = self._message()
        elif self._is_cavage():
            auth = self._cavage()
        else:
            auth = self._platform()
        return auth, self._secrets, {f"{carrier.place}:{carrier.name.lower()}" for carrier in self._carriers}

    # --- a platform's own recipe ------------------------------------------------------------------------------------

    def _platform(self) -> dict[str, Any]:
        """Return a `signed` recipe: what is sent by what was declared, the text and the algorithm as far as told."""
        stamp = self._stamp()
        own = self._own(stamp)
        told = rules.formula(self._text, own)
        gateway = self._gateway() if told is None else None
        method = self._constant()
        named = rules.digest_of(method or "") or (told.digest if told else None) or rules.digest_of(self._text)
        digest = self._settled("auth.digest", named or ("hmac-sha256" if gateway else None), rules.DIGESTS)
        base = self._base(told.base if told else gateway)
        usual = "base64" if gateway or digest in _PRIVATE else None
        encoding = self._settled(
            "auth.encoding", rules.encoding_of(self._text) or usual, rules.ENCODINGS, default="hex"
        )
        auth: dict[str, Any] = {"kind": "signed", "base": base, "digest": digest, "encoding": encoding}
        for carrier in self._carriers:
            recipe = self._recipe(carrier, stamp) if carrier.role != "method" else self._method(carrier, method, digest)
            if recipe is not None:
                auth.setdefault(_TABLES[carrier.place], {})[carrier.name] = recipe
        sign = next(c for c in self._carriers if c.role == "sign")
        if "{params}" in (base or "") and sign.name not in ("sign", "signature"):
            auth["params"] = {"leave_out": [sign.name]}
        self._need(auth, digest or "")
        self._name_unsent(base or "", auth)
        return auth

    def _name_unsent(self, base: str, auth: Mapping[str, Any]) -> None:
        """Name what is signed and not sent: nobody could check such a signature."""
        sent = " ".join(recipe for table in _TABLES.values() for recipe in auth.get(table, {}).values())
        for place in _UNKNOWN_TO_THEM.findall(base):
            if place not in sent:
                spot = Spot(pointer=self._pointer)
                self._notes.add("signed_unsent", spot, "warning", place=place)

    def _own(self, stamp: str) -> dict[str, str]:
        """Return the places that a formula may name, by the names of what is sent; `@…` by what a place is called."""
        found: dict[str, str] = {}
        for carrier in self._carriers:
            recipe = self._recipe(carrier, stamp) if carrier.role in ("app", "stamp", "nonce", "digest") else None
            if recipe is None:
                continue
            words = [word for word in words_of(carrier.name) if word != "x"]
            found["".join(words)] = recipe
            if carrier.place == "header":
                found[words[-1]] = recipe
            called = {"app": "@app_key", "stamp": "@timestamp", "nonce": "@nonce"}.get(str(carrier.role))
            if called is not None:
                found[called] = recipe
        return found

    def _base(self, told: str | None) -> str | None:
        if told is not None:
            chosen = self._interview.told("auth.base", "text")
            if chosen is None or re.fullmatch(_RECIPE, str(chosen)):
                return str(chosen or told)
        answer = self._interview.ask(
            "auth.base", "text", about=self._pointer, default=told, required=True, pattern=_RECIPE, say="auth_base",
            names=", ".join(c.name for c in self._carriers),
        )  # fmt: skip
        return None if answer is None else str(answer)

    def _settled(
        self, id_: str, told: str | None, choices: tuple[str, ...], *, default: str | None = None
    ) -> str | None:
        """Return what the document tells, unless somebody says otherwise; ask where it tells nothing."""
        if told in choices and self._interview.told(id_, "text") in (None, told):
            return told
        answer = self._interview.ask(
            id_, "choice", about=self._pointer, default=told or default, required=True, choices=choices,
            say=id_.replace(".", "_"),
        )  # fmt: skip
        return None if answer is None else str(answer)

    def _stamp(self) -> str:
        carrier = next((c for c in self._carriers if c.role == "stamp"), None)
        if carrier is None:
            return "{timestamp}"
        shape = carrier.shape
        told = rules.stamp_of(f"{carrier.text} {shape.text}", shape.example, shape.type, shape.format)
        if told is None:
            told = rules.stamp_of(self._around(carrier.name), None, "", "")
        if told is None and carrier.name.lower() == "x-ca-timestamp":
            told = "milliseconds"
        if told is None and carrier.name.lower() == "date":
            told = "http-date"
        return rules.STAMPS[self._settled("auth.timestamp", told, tuple(rules.STAMPS), default="seconds") or "seconds"]

    def _around(self, name: str) -> str:
        """Return what the whole document says just behind a name."""
        at = self._text.lower().find(name.lower())
        return self._text[at + len(name) : at + len(name) + 20] if at >= 0 else ""

    def _constant(self) -> str | None:
        """Return what the parameter says that names the algorithm."""
        carrier = next((c for c in self._carriers if c.role == "method"), None)
        if carrier is None:
            return None
        shape = carrier.shape
        if len(shape.enum) == 1:
            return str(shape.enum[0])
        if shape.has_example and isinstance(shape.example, str):
            return shape.example
        told = rules.digest_of(self._text.replace(carrier.text, "", 1))
        return next((str(value) for value in shape.enum if rules.digest_of(str(value)) == told), None)

    def _method(self, carrier: Carrier, told: str | None, digest: str | None) -> str | None:
        if told is not None:
            return told.replace("{", "{{").replace("}", "}}")
        listed = next((str(value) for value in carrier.shape.enum if rules.digest_of(str(value)) == digest), None)
        return listed or (str(digest).upper() if carrier.required and digest else None)

    def _recipe(self, carrier: Carrier, stamp: str) -> str | None:
        match carrier.role:
            case "app":
                return "{app_key}"
            case "stamp":
                return stamp
            case "nonce":
                told = f"{carrier.text} {carrier.shape.text} {carrier.shape.format}"
                return "{uuid}" if re.search("uuid", told, re.I) or carrier.name.lower() == "x-ca-nonce" else "{nonce}"
            case "sign":
                return "{signature}"
            case "covered":
                names = sorted(c.name.lower() for c in self._carriers if c.role in ("app", "stamp", "nonce"))
                return ",".join(name for name in names if name != "date")
            case "digest":
                return _digest_recipe(carrier)
            case None:
                return "{secret.api_key}"
        return None

    def _gateway(self) -> str | None:
        """Return the text that gateways of the X-Ca family sign, where all operations are of one form.

        It names Accept and Content-Type, which are no places of a recipe: known only where every call has the same.
        """
        if "x-ca-key" not in self._by_name or "x-ca-signature" not in self._by_name:
            return None
        described = [draft.described for draft in self._drafts]
        reads = [one.method == "GET" or not one.bodies for one in described]
        json = [any(media_kind(media.type) == "json" for media in one.bodies) for one in described]
        if not (all(reads) or (all(json) and not any(reads))):
            return None
        told = {"app": "{app_key}", "stamp": self._stamp(), "nonce": "{uuid}"}
        signed = sorted((c.name.lower(), told[c.role]) for c in self._carriers if c.role in told and c.role is not None)
        headers = "".join(f"{name}:{place}\n" for name, place in signed if name != "date")
        date = "{date}" if "date" in self._by_name else ""
        digest = "{body_md5_b64}" if "content-md5" in self._by_name and not all(reads) else ""
        media = "" if all(reads) else "application/json"
        return "\n".join(["{method}", "application/json", digest, media, date, headers + "{target}"])

    # --- signatures of HTTP messages --------------------------------------------------------------------------------

    def _is_message(self) -> bool:
        return "signature-input" in self._by_name or bool(re.search(r"signature-input|RFC ?9421", self._text, re.I))

    def _is_cavage(self) -> bool:
        sign = self._by_name.get("signature") or self._by_name.get("authorization")
        shown = sign is not None and re.search(r"keyId\s*=|\(request-target\)", f"{sign.text} {sign.shape.example}")
        told = "(request-target)" in self._text or "signature" in self._says.split()
        return bool(shown) or (told and (sign is not None or bool(self._says)))

    def _message(self) -> dict[str, Any]:
        carrier = self._by_name.get("signature-input")
        shown = f"{carrier.shape.example or ''} {carrier.text}" if carrier is not None else ""
        told = rules.signature_input(f"{shown} {self._text}")
        named = next((name for name in _MESSAGE_ALGORITHMS if name in f"{shown} {self._text}".lower()), None)
        auth: dict[str, Any] = {
            "kind": "http_signature",
            "algorithm": self._settled("auth.algorithm", named, _MESSAGE_ALGORITHMS),
        }
        if told is not None:
            auth |= {"label": told[0], "components": [name.lower() for name in told[1]]}
        self._secrets = {"key_id": _SAYS["key_id"]}
        self._secrets |= {"app_secret": _SAYS["app_secret"]} if auth["algorithm"] == "hmac-sha256" else _KEY
        return auth

    def _cavage(self) -> dict[str, Any]:
        usual = ["(request-target)", "host", "date"]
        headers = rules.signed_headers(self._text) or [*usual, *(["digest"] if "digest" in self._by_name else [])]
        digest = self._settled("auth.digest", rules.digest_of(self._text), rules.DIGESTS)
        base = self._base(rules.signed_lines(headers))
        sent = {c.name.lower(): c.name for c in self._carriers}
        auth: dict[str, Any] = {"kind": "signed", "base": base, "digest": digest, "encoding": "base64", "headers": {}}
        for name in headers:
            if name in rules.CAVAGE_HEADERS:
                called, recipe = rules.CAVAGE_HEADERS[name]
                auth["headers"][sent.get(name, called)] = recipe
        named = "hs2019" if "hs2019" in self._text else digest
        value = 'keyId="{secret.key_id}",algorithm="' + str(named) + f'",headers="{" ".join(headers)}"'
        created = ",created={timestamp}" if "(created)" in headers else ""
        if "signature" in self._by_name:
            auth["headers"][self._by_name["signature"].name] = f'{value}{created},signature="{{signature}}"'
        else:
            auth["headers"]["Authorization"] = f'Signature {value}{created},signature="{{signature}}"'
        self._need(auth, digest or "")
        return auth

    # --- what the environment must tell ---------------------------------------------------------------------------

    def _need(self, auth: Mapping[str, Any], digest: str) -> None:
        told = [auth.get("base") or "", *(r for table in _TABLES.values() for r in auth.get(table, {}).values())]
        text = " ".join(told).replace("{app_key}", "{secret.app_key}").replace("{secret}", "{secret.app_secret}")
        for name in re.findall(r"\{secret\.(\w+)\}", text):
            self._secrets[name] = _SAYS.get(name, f"the value of {name}")
        if digest in _PRIVATE:
            self._secrets |= _KEY | ({"sign_public_key": "its public half, in hex"} if digest == "sm2-sm3" else {})
        elif digest.startswith("hmac"):
            self._secrets["app_secret"] = _SAYS["app_secret"]


def _digest_recipe(carrier: Carrier) -> str:
    plain = "".join(words_of(carrier.name))
    if plain == "digest":
        return "SHA-256={body_sha256_b64}"
    coded = "_b64" if plain.startswith("content") or re.search("base64", carrier.text, re.I) else ""
    if "md5" in plain or re.search("md5", carrier.text, re.I):
        return "{body_md5" + coded + "}"
    coded = "_b64" if re.search("base64", carrier.text, re.I) else ""
    return "{body_sm3}" if re.search("sm3", carrier.text, re.I) else "{body_sha256" + coded + "}"


def _carriers(description: Description, drafts: list[Draft]) -> list[Carrier]:
    """Return what takes part, by place and name: declared keys first, then parameters, then a body's members."""
    found: dict[tuple[str, str], Carrier] = {}

    def add(place: str, name: str, shape: Shape, text: str, required: bool, *, key: bool = False) -> None:
        role = rules.role_of(name, header=place == "header")
        if name.lower() in ("signature-input", "authorization") and place == "header":
            role = "sign"
        if role is not None or key:
            known = found.get((place, name.lower()))
            better = known is None or (not known.text and bool(text))
            if better:
                found[place, name.lower()] = Carrier(role, place, name, shape, text, required)

    for scheme in _required(description, drafts):
        if scheme.kind == "api_key" and scheme.place in ("header", "query"):
            add(scheme.place, scheme.parameter, Shape(kind="value"), scheme.about, True, key=True)
    for draft in drafts:
        for parameter in draft.described.parameters:
            if parameter.place in ("header", "query"):
                text = f"{parameter.text} {parameter.shape.text}".strip()
                add(parameter.place, parameter.name, parameter.shape, text, parameter.required)
        for media in draft.described.bodies[:1]:
            if media_kind(media.type) in ("json", "form"):
                for name, part in media.shape.members.items():
                    if part.kind in ("value", "any"):
                        add("body", name, part, part.text, name in media.shape.required)
    return _of_one_place(list(found.values()))


def _mentioned(text: str, declared: list[Carrier]) -> list[Carrier]:
    """Return the headers of a signature that are only spoken of: documents often declare some of them, or none."""
    known = {carrier.name.lower() for carrier in declared}
    names = {name.lower(): name for name in _HEADER.findall(text) if name.lower() not in known}
    roles = {name: rules.role_of(name, header=True) for name in names}
    return [
        Carrier(role, "header", names[name], Shape(kind="value"), "", True)
        for name, role in roles.items()
        if role is not None and role != "digest"
    ]


def _of_one_place(carriers: list[Carrier]) -> list[Carrier]:
    """Leave out members of a body that only have such names, where the signature itself stands elsewhere."""
    signs = {c.place for c in carriers if c.role == "sign"}
    return [c for c in carriers if c.place != "body" or "body" in signs]


def _required(description: Description, drafts: list[Draft]) -> list[Any]:
    names: dict[str, None] = {}
    for draft in drafts:
        told = draft.described.security if draft.described.security is not None else description.security
        names |= {name: None for alternative in told for name in alternative if name in description.schemes}
    return [description.schemes[name] for name in names or description.schemes]


def stands_alone(kinds: set[str]) -> bool:
    """Tell whether what a document declares leaves room for a signature: keys only, or nothing that we know."""
    return kinds <= {"api_key", "other", "mutual_tls"}
