"""Decisions about licences: identifiers, states, which change an issuer may make, what a type's file must hold."""

from datetime import date, datetime, timedelta
from typing import Final, Literal

from stdnum.iso7064 import mod_37_36

from onestop.certificates.models_types import COMMON, LicenceType

LicenceState = Literal["valid", "suspended", "expired", "revoked", "superseded", "unknown"]
KeptState = Literal["valid", "suspended", "revoked", "superseded"]
Change = Literal["suspend", "restore", "revoke", "supersede"]
# 吊销 penalty, 撤销 issued_in_error, 注销 cancelled: the law tells them apart, and so does the holder's history.
Reason = Literal[
    "penalty", "issued_in_error", "cancelled", "investigation", "lost", "resolved", "details_changed", "renewed",
    "not_listed",
]  # fmt: skip

ROOT: Final = "1.2.156.3005.2"
_FROM: Final[dict[Change, tuple[KeptState, ...]]] = {
    "suspend": ("valid",),
    "restore": ("suspended",),
    "revoke": ("valid", "suspended"),
    "supersede": ("valid", "suspended"),
}
_TO: Final[dict[Change, KeptState]] = {
    "suspend": "suspended",
    "restore": "valid",
    "revoke": "revoked",
    "supersede": "superseded",
}
_REASONS: Final[dict[Change, tuple[Reason, ...]]] = {
    "suspend": ("penalty", "investigation", "lost"),
    "restore": ("resolved", "issued_in_error"),
    "revoke": ("penalty", "issued_in_error", "cancelled"),
    "supersede": ("details_changed", "renewed", "issued_in_error"),
}
EVENTS: Final[dict[Change, str]] = {
    "suspend": "suspended",
    "restore": "restored",
    "revoke": "revoked",
    "supersede": "superseded",
}


def identifier(type_code: str, issuer: str, serial: str, version: int) -> str:
    """Return the published form of a licence's identifier 电子证照标识.

    `type_code` has 21 characters, `issuer` is an 18-character credit code, `serial` letters and digits; versions begin
    with 1.

    Rule: R-350, the last character is the ISO 7064 MOD 37,36 check over type, issuer, serial and version.
    """
    told = f"{version:03}"
    check = mod_37_36.calc_check_digit(type_code + issuer + serial + told)
    return ".".join((ROOT, type_code, issuer, serial, told, check))


def is_identifier(text: str) -> bool:
    """Tell whether a text is an identifier of the published form with its check character right."""
    if not text.startswith(ROOT + "."):
        return False
    parts = text[len(ROOT) + 1 :].split(".")
    if len(parts) != 5 or [len(parts[0]), len(parts[1]), len(parts[3]), len(parts[4])] != [21, 18, 3, 1]:
        return False
    joined = "".join(parts)
    return joined.isascii() and joined.isalnum() and joined.upper() == joined and bool(mod_37_36.is_valid(joined))


def state_at(kept: KeptState, valid_to: date | None, today: date) -> LicenceState:
    """Return what a licence is on a day: one that was valid has expired when its last day is over.

    Rule: R-351, an expired or ended licence fails a check; it does not vanish.
    """
    if kept == "valid" and valid_to is not None and valid_to < today:
        return "expired"
    return kept


def is_stale(asked_at: datetime, now: datetime, max_age_s: int) -> bool:
    """Tell whether the issuer's word on a state is too old to be passed on as true."""
    return now - asked_at > timedelta(seconds=max_age_s)


def after(change: Change, state: KeptState) -> KeptState | None:
    """Return the state after an issuer's change; None where it cannot be made from this state.

    Rule: R-352, suspended 暂扣 may be restored; revoked and superseded are the end.
    """
    return _TO[change] if state in _FROM[change] else None


def may_give(change: Change, reason: Reason) -> bool:
    """Tell whether a change may be made for this reason."""
    return reason in _REASONS[change]


def fault(type_: LicenceType) -> str | None:
    """Return the first thing the types cannot tell is wrong with a licence type, or None."""
    codes = {field.code for field in type_.fields}
    if len(codes) != len(type_.fields):
        return "two fields have one code"
    if codes & set(COMMON):
        return f"{sorted(codes & set(COMMON))[0]} is what every licence has"
    for seen in (*type_.scenes, *type_.purposes):
        unknown = set(seen.fields) - codes - set(COMMON)
        if unknown:
            return f"{seen.code} names {sorted(unknown)[0]}, which is no field"
    if type_.source is None and type_.decision is None:
        return "it comes from nowhere: neither a source nor a decision"
    for told in (type_.source, type_.decision):
        if told is not None and set(told.fields) - codes:
            return f"{sorted(set(told.fields) - codes)[0]} is filled but is no field"
    return None
