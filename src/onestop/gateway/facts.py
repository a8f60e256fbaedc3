"""The decisive fact of a failure: which limit, which member, which certificate. Our own words only, never content.

Made where something failed and nowhere else, so that a good call pays nothing. The sentences stand in the texts as
`fact.<code>.says` and `.fix`; a fact is kept with the trace and told in the reader's language.
"""

import re
import ssl
import time
from collections.abc import Collection
from typing import Any, Final

import msgspec

from onestop.errors import Actor, OnestopError
from onestop.gateway.manifest import Operation
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.retry_after import http_date, retry_after_s
from onestop.outbound.errors import (
    AddressRefused,
    BadBody,
    BadReply,
    ConnectionLost,
    ConnectTimeout,
    DeadlinePassed,
    OutboundError,
    PoolTimeout,
    Refused,
    TlsFailed,
    TooManyWaiting,
)
from onestop.outbound.models import Reply

_MOST: Final = 160
_SKEW_S: Final = 30
_NAME: Final = re.compile(r"(?!.*\d{5})[^\W\d][\w.-]{0,39}")
_SIGNING: Final = ("signed", "http_signature", "self_signed_jwt", "ws_security", "onestop_token")


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact: a key below `fact.` in the texts, and what its sentence names."""

    code: str
    params: dict[str, str | int | float] = {}


# To which link of the chain a fact belongs (None: as its outcome says), and who acts on it.
FACTS: Final[dict[str, tuple[str | None, Actor]]] = {
    "connect_timeout": ("upstream", "department"),
    "answer_timeout": ("upstream", "department"),
    "nobody_listens": ("upstream", "department"),
    "name_unknown": ("upstream", "operator"),
    "no_way": ("upstream", "operator"),
    "address_refused": ("upstream", "operator"),
    "tls_expired": ("upstream", "department"),
    "tls_wrong_host": ("upstream", "operator"),
    "tls_unknown_authority": ("upstream", "operator"),
    "tls_other": ("upstream", "department"),
    "tls_not_spoken": ("upstream", "operator"),
    "tls_spoken": ("upstream", "operator"),
    "cut": ("upstream", "department"),
    "closed_unanswered": ("upstream", "department"),
    "reply_too_large": ("mapping", "operator"),
    "reply_inflates": ("mapping", "department"),
    "reply_malformed": ("upstream", "department"),
    "line_full": ("limit", "operator"),
    "pace": ("limit", "operator"),
    "queue_timeout": ("limit", "operator"),
    "breaker_open": ("breaker", "department"),
    "stopped": ("limit", "operator"),
    "token_status": ("agreement", "operator"),
    "token_unreadable": ("agreement", "department"),
    "status_path": ("schema", "operator"),
    "status_method": ("schema", "operator"),
    "status_media_type": ("schema", "operator"),
    "status_denied": ("agreement", "operator"),
    "clock_skew": ("agreement", "operator"),
    "status_busy": ("quota", "department"),
    "status_down": ("upstream", "department"),
    "status_unlisted": ("mapping", "operator"),
    "error_case": (None, "department"),
    "body_markup": ("mapping", "operator"),
    "body_charset": ("mapping", "operator"),
    "body_unreadable": ("mapping", "operator"),
    "member_missing": ("mapping", "operator"),
    "value_shape": ("mapping", "operator"),
    "subject_mismatch": ("mapping", "department"),
    "old_reply": ("mapping", "department"),
    "items_too_many": ("mapping", "operator"),
    "pages_short": ("mapping", "department"),
    "page_elsewhere": ("mapping", "department"),
    "page_repeats": ("mapping", "department"),
    "link_unreadable": ("mapping", "department"),
    "links_differ": ("mapping", "department"),
    "pages_too_many": ("mapping", "operator"),
    "request_unwritable": ("schema", "operator"),
    "own_id_unknown": ("schema", "department"),
    "no_environment": ("upstream", "operator"),
    "missing_secret": ("upstream", "operator"),
    "network_refused": ("upstream", "operator"),
    "not_opened": ("upstream", "operator"),
    "step_unknown": ("upstream", "clerk"),
    "callback_secret": ("identity", "operator"),
    "callback_skew": ("identity", "department"),
    "callback_nonce": ("identity", "department"),
    "callback_signature": ("identity", "department"),
    "callback_key": ("schema", "department"),
    "callback_body": ("schema", "department"),
    "callback_operation": ("schema", "department"),
    "session_over": ("identity", "caller"),
    "not_signed_in": ("identity", "caller"),
    "request_role": ("mandate", "caller"),
    "mandate_refused": ("mandate", "applicant"),
    "request_fields": ("schema", "caller"),
    "request_body": ("schema", "caller"),
}


def fact(code: str, /, **params: str | int | float) -> Fact:
    """Make one; long words are cut."""
    return Fact(code, {name: _short(value) for name, value in params.items()})


def _short(value: str | int | float) -> str | int | float:
    return "".join(c if c.isprintable() else " " for c in value[:_MOST]) if isinstance(value, str) else value


# --- on the wire ----------------------------------------------------------------------------------------------------


def of_error(error: OutboundError, spec: Operation, host: str, port: int, waited_s: float) -> Fact:
    """Return why the wire brought no answer."""
    match error:
        case ConnectTimeout():
            return fact("connect_timeout", host=host, port=port, limit_s=spec.connect_s)
        case DeadlinePassed():
            return fact("answer_timeout", waited_s=round(waited_s, 2), limit_s=spec.total_s)
        case Refused():
            return fact("nobody_listens", host=host, port=port)
        case AddressRefused():
            return fact("address_refused", host=host, port=port)
        case TlsFailed():
            return _of_tls(error, host, port)
        case TooManyWaiting():
            return fact("line_full", host=host)
        case PoolTimeout():
            return fact("queue_timeout", waited_s=round(waited_s, 2))
        case ConnectionLost():
            if error.reason == "closed_early" and not error.stale:
                return fact("closed_unanswered", host=host, port=port)
            return fact("cut", how=error.reason)
        case BadReply():
            return _of_reply(error, spec, host, port)
    if error.reason == "name_unknown":
        return fact("name_unknown", host=host)
    return fact("no_way", host=host, port=port, reason=error.reason)


def _of_tls(error: TlsFailed, host: str, port: int) -> Fact:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code == 10:
            return fact("tls_expired", host=host, since=error.detail or "—")
        if cause.verify_code in (62, 64):
            return fact("tls_wrong_host", host=host)
        if cause.verify_code in (2, 18, 19, 20, 21):
            return fact("tls_unknown_authority", host=host, reason=cause.verify_message)
        return fact("tls_other", host=host, reason=cause.verify_message)
    reason = getattr(cause, "reason", None) or "tls"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return fact("tls_not_spoken", host=host, port=port)
    return fact("tls_other", host=host, reason=reason)


def _of_reply(error: BadReply, spec: Operation, host: str, port: int) -> Fact:
    if error.reason in ("too_large", "header_bytes", "header_count"):
        return fact("reply_too_large", limit=spec.max_reply_bytes)
    if error.reason == "inflated_too_large":
        return fact("reply_inflates", limit=spec.max_reply_bytes)
    if error.detail == "tls":
        return fact("tls_spoken", host=host, port=port)
    return fact("reply_malformed", reason=error.reason)


def of_token(sentence: str, path: str) -> Fact:
    """Return why there is no token, from our own sentence about it."""
    status = re.search(r"answered (\d{3})", sentence)
    if status:
        return fact("token_status", status=int(status[1]), path=path)
    return fact("token_unreadable", path=path, reason=sentence)


# --- what was answered ----------------------------------------------------------------------------------------------


def of_status(reply: Reply, spec: Operation, auth: str) -> Fact:
    """Return what a status code means that is neither accepted nor in the error map."""
    status = reply.status
    if status in (401, 403):
        skew = _skew_s(reply)
        if skew is not None and abs(skew) > _SKEW_S and auth in _SIGNING:
            return fact("clock_skew", status=status, seconds=round(skew))
        return fact("status_denied", status=status, auth=auth)
    if status == 404:
        return fact("status_path", status=status, method=spec.method, path=spec.path)
    if status == 405:
        return fact("status_method", status=status, method=spec.method, path=spec.path)
    if status in (406, 415):
        return fact("status_media_type", status=status, codec=spec.request_codec, reads=spec.response_codec)
    if status == 429:
        told_s = retry_after_s(reply)
        return fact("status_busy", retry_after="—" if told_s is None else round(told_s))
    if status >= 500:
        return fact("status_down", status=status)
    return fact("status_unlisted", status=status, accept=" ".join(map(str, spec.accept)))


def _skew_s(reply: Reply) -> float | None:
    """Return how far the department's clock is ahead of ours, by its Date header."""
    told = http_date(reply.header(b"date"))
    return told.timestamp() - time.time() if told else None


def of_case(number: int, outcome: str, status: int, path: str | None) -> Fact:
    """Return which entry of the error map an answer fitted."""
    return fact("error_case", number=number, outcome=outcome, status=status, path=path or "status")


def of_body(error: BadBody | MappingFailed, spec: Operation) -> Fact:
    """Return why an accepted answer cannot be read or mapped."""
    if isinstance(error, MappingFailed):
        return fact("value_shape", expression=error.expression, need=error.need, shape=error.shape)
    if error.reason == "markup":
        return fact("body_markup", codec=spec.response_codec)
    if error.reason in ("charset", "byte_order_mark"):
        return fact("body_charset", charset=spec.charset, where=error.detail or error.reason)
    return fact("body_unreadable", codec=spec.response_codec, reason=error.reason)


def missing(member: str, body: Any) -> Fact:
    """Return that an answer lacks a member, and what it has instead: names only."""
    return fact("member_missing", member=member, shape=shape_of(body))


def shape_of(value: Any) -> str:
    """Describe a value by the names it holds; what could be somebody's number or sentence is no name."""
    if isinstance(value, dict):
        names = sorted(name if _NAME.fullmatch(name) else "…" for name in map(str, value))
        return "{" + ", ".join(names[:8]) + (", …" if len(names) > 8 else "") + "}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    return "∅" if value is None else type(value).__name__


# --- what we refused ------------------------------------------------------------------------------------------------


def of_refusal(refusal: OnestopError, *, credential: bool = False) -> Fact | None:
    """Return the fact of a refusal of our own; None where its code says all. `credential`: one was shown."""
    own = getattr(refusal, "fact", None)
    if isinstance(own, Fact):
        return own
    if refusal.code == "auth.required":
        return fact("session_over" if credential else "not_signed_in")
    if refusal.errors:
        told = [f"{_pointer(one.pointer)} {one.code}" for one in refusal.errors[:4]]
        return fact("request_fields", fields="; ".join(told), count=len(refusal.errors))
    if "role" in refusal.params:
        return fact("request_role", role=refusal.params["role"])
    if "reason" in refusal.params:
        return fact("request_body", reason=refusal.params["reason"])
    return None


def _pointer(pointer: str) -> str:
    """Return a pointer without names the caller made up."""
    return "/".join(part if not part or part.isdigit() or _NAME.fullmatch(part) else "…" for part in pointer.split("/"))


def names(words: Collection[str]) -> str:
    """Join names for a sentence."""
    return ", ".join(sorted(words))
