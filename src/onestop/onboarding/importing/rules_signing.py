"""What a document tells of a signature: which values take part, over what text, by which algorithm, written how."""

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known

Role = Literal["app", "stamp", "nonce", "sign", "method", "covered", "digest"]
ROLES: Final[tuple[Role, ...]] = ("covered", "method", "digest", "sign", "stamp", "nonce", "app")
_WORDS: Final[dict[Role, frozenset[str]]] = {role: known(f"signing.{role}") for role in ROLES}

DIGESTS: Final = (
    "hmac-sha256", "hmac-sha1", "hmac-sha512", "hmac-md5", "hmac-sm3", "sha256", "sha1", "sha512", "md5", "sm3",
    "rsa-sha256", "rsa-sha1", "rsa-pss-sha256", "ecdsa-sha256", "ed25519", "sm2-sm3",
)  # fmt: skip
ENCODINGS: Final = ("hex", "hex_upper", "base64", "base64url")
STAMPS: Final[dict[str, str]] = {
    "seconds": "{timestamp}",
    "milliseconds": "{timestamp_ms}",
    "yyyyMMddHHmmss": "{time(%Y%m%d%H%M%S)}",
    "yyyy-MM-dd HH:mm:ss": "{time(%Y-%m-%d %H:%M:%S)}",
    "yyyy-MM-ddTHH:mm:ssZ": "{time_utc(%Y-%m-%dT%H:%M:%SZ)}",
    "http-date": "{date}",
}
# In order: a longer name is taken out before a shorter one is looked for in what is left.
_ALGORITHMS: Final = (
    ("hmac-sm3", r"hmac[-_ ]?sm3"),
    ("hmac-sha512", r"hmac[-_ ]?(?:with)?sha[-_ ]?512"),
    ("hmac-sha256", r"hmac[-_ ]?(?:with)?sha[-_ ]?(?:2[-_ ])?256|hs256"),
    ("hmac-sha1", r"hmac[-_ ]?(?:with)?sha[-_ ]?1"),
    ("hmac-md5", r"hmac[-_ ]?md5"),
    ("sm2-sm3", r"sm3[-_ ]?with[-_ ]?sm2|sm2(?:[-_ ]?(?:with)?[-_ ]?sm3)?"),
    ("rsa-pss-sha256", r"rsa(?:ssa)?[-_ ]?pss(?:[-_ ]?sha[-_ ]?256)?|ps256"),
    ("rsa-sha256", r"sha[-_ ]?256[-_ ]?with[-_ ]?rsa(?:encryption)?|rsa[-_ ]?(?:with)?sha[-_ ]?256|rsa2|rs256"),
    ("rsa-sha1", r"sha[-_ ]?1[-_ ]?with[-_ ]?rsa|rsa[-_ ]?sha[-_ ]?1"),
    ("ecdsa-sha256", r"sha[-_ ]?256[-_ ]?with[-_ ]?ecdsa|ecdsa(?:[-_ ]?(?:p256[-_ ]?)?sha[-_ ]?256)?|es256"),
    ("ed25519", r"ed25519|eddsa"),
    ("sha512", r"sha[-_ ]?512"),
    ("sha256", r"sha[-_ ]?256"),
    ("sha1", r"sha[-_ ]?1"),
    ("sm3", r"sm3"),
    ("md5", r"md5"),
)
_OF_A_BODY: Final = re.compile(r"(?:content|body|payload)[-_ ]?(?:md5|sha[-_ ]?\d+|sm3)|digest:? ?sha-?256=?", re.I)
_SORTED: Final = re.compile(
    r"字典序|字典顺序|ASCII|排序|升序|alphabetical|lexicograph|sorted|sort (?:all |the )?param", re.I
)
_WITH_KEY: Final = re.compile(r"&\s*(key|secret|appsecret|app_secret|appkey)\s*=", re.I)
_BOTH_ENDS: Final = re.compile(r"首尾|前后(?:各)?(?:加|拼)|both ends|before and after|prefix and suffix", re.I)
_AT_END: Final = re.compile(
    r"(?:末尾|最后|尾部|后面?)(?:再)?(?:加上?|拼接?上?|追加)[^，。,.;；]{0,8}(?:密钥|secret|key)"
    r"|(?:append|followed by|concatenat\w+ with)[^,.;]{0,20}secret",
    re.I,
)
_FORMULA: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{1,24})\s*[(（]([^()（）]{3,300})[)）]")
_NAMED: Final = re.compile(
    r"(?:签名原文|待签名串|待签名字符串|string[- ]to[- ]sign|signing string|signature base)\s*(?:为|是|is)?"
    r"\s*[:：=＝]?\s*((?:[^。；;，\n.]|\.(?!\s|$)){3,200})",
    re.I,
)
_LONGEST_NAME: Final = 100
_PLUS: Final = re.compile(r"\s*(?:\+|＋|\|\|)\s*")
_TERMS: Final[Mapping[str, frozenset[str]]] = {
    place: known(f"signing.terms.{place}") for place in
    ("timestamp", "nonce", "app_key", "secret", "token", "body", "method", "path", "url", "query")
}  # fmt: skip


class Formula(NamedTuple):
    """A text to sign, and the algorithm that the same formula names."""

    base: str
    digest: str | None


def role_of(name: str, *, header: bool) -> Role | None:
    """Return what a value does in a signature, by its name; a header's may begin with words of the house."""
    if len(name) > _LONGEST_NAME:
        return None
    words = [word for word in words_of(name) if word != "x"]
    endings = range(len(words)) if header else range(1)
    for start in endings:
        joined = "".join(words[start:])
        for role in ROLES:
            if joined in _WORDS[role]:
                return role
    return None


def digest_of(text: str) -> str | None:
    """Return the one algorithm that a text names for signatures; None where it names none, or several."""
    rest, found = _OF_A_BODY.sub(" ", text), []
    for name, pattern in _ALGORITHMS:
        rest, count = re.subn(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", " ", rest, flags=re.I)
        if count:
            found.append(name)
    return found[0] if len(found) == 1 else None


def encoding_of(text: str) -> str | None:
    """Return how a text says that the signature is written."""
    if re.search(r"base64[-_ ]?url", text, re.I):
        return "base64url"
    if re.search(r"大写|upper[- ]?case|toUpper", text, re.I):
        return "hex_upper"
    told_64, told_hex = (
        re.search(word, text, re.I) for word in ("base64", r"十六进制|16进制|小写|\bhex|lower[- ]?case")
    )
    if bool(told_64) is bool(told_hex):
        return None
    return "base64" if told_64 else "hex"


def stamp_of(text: str, example: object, kind: str, format_: str) -> str | None:
    """Return how a moment is written: a key of `STAMPS`; None where nothing tells."""
    shown = str(example) if isinstance(example, str | int) and not isinstance(example, bool) else ""
    for pattern, told in (
        (r"\d{14}", "yyyyMMddHHmmss"),
        (r"\d{13}", "milliseconds"),
        (r"\d{10}", "seconds"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "yyyy-MM-dd HH:mm:ss"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "yyyy-MM-ddTHH:mm:ssZ"),
        (r"[A-Z][a-z]{2}, .* GMT", "http-date"),
    ):
        if re.fullmatch(pattern, shown):
            return told
    for pattern, told in (
        (r"yyyyMMddHHmmss", "yyyyMMddHHmmss"),
        (r"yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss"),
        (r"毫秒|milli-?seconds?|\bms\b|13\s*位|13 digits", "milliseconds"),
        (r"秒|\bseconds?\b|10\s*位|10 digits|\bunix (?:time|timestamp)\b|\bepoch\b", "seconds"),
        (r"RFC ?(?:1123|7231|9110)|HTTP[- ]date|\bGMT\b", "http-date"),
        (r"ISO ?-?8601|RFC ?3339", "yyyy-MM-ddTHH:mm:ssZ"),
    ):
        if re.search(pattern, text, re.I):
            return told
    return "yyyy-MM-ddTHH:mm:ssZ" if kind == "string" and format_ == "date-time" else None


def formula(text: str, own: Mapping[str, str]) -> Formula | None:
    """Return the text to sign where a description spells it out; `own` are the plain names of values and their places.

    Only a formula whose every term is known is taken: one that is half understood signs something else.
    """
    for found in _FORMULA.finditer(text):
        digest = digest_of(found[1])
        base = _joined(found[2], own, digest) if digest is not None else None
        if base is not None:
            return Formula(base, digest)
    for found in _NAMED.finditer(text):
        base = _joined(found[1], own, None)
        if base is not None:
            return Formula(base, None)
    if not _SORTED.search(text):
        return None
    key = _WITH_KEY.search(text)
    if key is not None:
        return Formula("{params}&" + key[1] + "={secret}", None)
    if _BOTH_ENDS.search(text):
        return Formula("{secret}{params}{secret}", None)
    if _AT_END.search(text):
        return Formula("{params}{secret}", None)
    digest = digest_of(text)
    keyed = digest is not None and digest not in ("sha256", "sha1", "sha512", "md5", "sm3")
    return Formula("{params}", None) if keyed else None


def _joined(told: str, own: Mapping[str, str], digest: str | None) -> str | None:
    """Return the recipe of `a + b + c` or of `a=…&b=…`; None where a term is unknown or there is only one."""
    if "&" in told and "=" in told and not _PLUS.search(told):
        pairs = [pair.partition("=")[0].strip() for pair in told.split("&")]
        places = [place_of(name, own) for name in pairs]
        if len(pairs) < 2 or None in places:
            return None
        return "&".join(f"{name}={place}" for name, place in zip(pairs, places, strict=True))
    parts = [part.strip() for part in re.split(r"[,，]", told)]
    if digest is not None and digest.startswith("hmac") and len(parts) == 2:  # one of the two is the key
        keyless = [part for part in parts if place_of(part, own) != "{secret}"]
        told = keyless[0] if len(keyless) == 1 else told
    terms = [term for term in _PLUS.split(told.strip()) if term]
    if len(terms) < 2:
        return None
    found = [_literal(term) or place_of(term, own) for term in terms]
    return None if None in found else "".join(place for place in found if place is not None)


def _literal(term: str) -> str | None:
    quoted = re.fullmatch(r"(['\"“”‘’])([^'\"“”‘’{}]{1,20})['\"“”‘’]", term.strip())
    return quoted[2].replace("\\n", "\n") if quoted else None


def place_of(term: str, own: Mapping[str, str]) -> str | None:
    """Return the place that a term of a formula stands for."""
    joined = "".join(word for word in words_of(re.sub(r"[`'\"${}<>*]", "", term)) if word != "x")
    if joined in own:
        return own[joined]
    place = next((place for place, words in _TERMS.items() if joined in words), None)
    if place is None:
        return None
    return own.get(f"@{place}") or ("{secret.token}" if place == "token" else "{" + place + "}")


# --- HTTP signatures ------------------------------------------------------------------------------------------------

_LINES: Final = {
    "(request-target)": "(request-target): {method_lower} {target}",
    "host": "host: {host}",
    "date": "date: {date}",
    "digest": "digest: SHA-256={body_sha256_b64}",
    "content-md5": "content-md5: {body_md5_b64}",
    "x-request-id": "x-request-id: {uuid}",
    "(created)": "(created): {timestamp}",
}
CAVAGE_HEADERS: Final = {
    "date": ("Date", "{date}"),
    "digest": ("Digest", "SHA-256={body_sha256_b64}"),
    "content-md5": ("Content-MD5", "{body_md5_b64}"),
    "x-request-id": ("X-Request-ID", "{uuid}"),
}
_LISTED: Final = re.compile(r"headers\s*=\s*\\?[\"'“]([a-z0-9() _-]{3,200})\\?[\"'”]", re.I)
_INPUT: Final = re.compile(r"(\w{1,20})\s*=\s*\(((?:\s*\"[^\"()]{1,60}\")+)\s*\)")


def signed_headers(text: str) -> list[str] | None:
    """Return the headers that an HTTP signature covers as the draft before RFC 9421 lists them."""
    told = _LISTED.search(text)
    return told[1].lower().split() if told else None


def signed_lines(headers: list[str]) -> str | None:
    """Return the text over which they are signed; None where one of them is not known here."""
    return "\n".join(_LINES[name] for name in headers) if all(name in _LINES for name in headers) else None


def signature_input(text: str) -> tuple[str, list[str]] | None:
    """Return label and components of a `Signature-Input` that a document shows."""
    told = _INPUT.search(text)
    return (told[1], re.findall(r'"([^"]+)"', told[2])) if told else None
