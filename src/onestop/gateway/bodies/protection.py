"""Encrypted and signed bodies: what a reply's or a request's `protection` declares, opened and sealed.

Nothing in a message chooses how it is opened: algorithms are fixed lists, a key is taken from the set we were told,
every size is bounded before anything is decoded, and a header member that is not listed here refuses the message
(`zip`, `crit`, `jwk`, `jku`, `x5u`, `x5c`, `p2c` and any other). No word tells an outsider at what an opening failed.
"""

from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from onestop.gateway.auth.keys import Secrets
from onestop.gateway.bodies import jose, sm4
from onestop.gateway.bodies.codecs import Reader, Writer
from onestop.gateway.manifest_auth import Jose, Protection
from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import MappingFailed, Value, expression
from onestop.outbound.errors import BadBody

Opened = Callable[[bytes], bytes]


class NotOpened(BadBody):
    """What was to be protected is not, or cannot be opened; `outer` is the body around it, where there is one."""

    def __init__(self, detail: str = "", outer: Value = None) -> None:
        super().__init__("protection", detail)
        self.outer = outer


def opener(spec: Protection, told: Secrets) -> Opened:
    """Return what opens a protected text; it raises NotOpened.

    Raises:
        BadManifest: a key is missing or of the wrong kind, or the declaration opens a hole.
    """
    opened = jose.opener(spec, told) if isinstance(spec, Jose) else sm4.opener(spec, told)

    def open_text(text: bytes) -> bytes:
        try:
            return opened(text.strip())
        except ValueError as fault:
            raise NotOpened(str(fault)) from None

    return open_text


def sealer(spec: Protection, told: Secrets) -> Opened:
    """Return what seals a body into a protected text.

    Raises:
        BadManifest: as `opener`.
    """
    return jose.sealer(spec, told) if isinstance(spec, Jose) else sm4.sealer(spec, told)


def reading(spec: Protection | None, told: Secrets | None, read: Reader) -> Reader:
    """Return the reader of protected replies, made of `read`, which reads what is inside.

    Without secrets, where a manifest is only looked at, it refuses every body.

    Raises:
        BadManifest: as `opener`.
    """
    if spec is None:
        return read
    if told is None:
        return _refuse
    opened = opener(spec, told)
    if spec.member is None:
        return lambda body: read(opened(body))
    take = expression(spec.member, {})

    def read_member(body: bytes) -> Value:
        outer = read(body)
        try:
            text = take(outer)
        except MappingFailed:
            text = None
        if not isinstance(text, str) or not text:
            raise NotOpened("the reply holds no protected text where one is declared", outer)
        try:
            return read(opened(text.encode()))
        except NotOpened as fault:
            fault.outer = outer
            raise

    return read_member


def _refuse(_: bytes) -> Value:
    raise NotOpened("no keys are told here")


def writing(spec: Protection | None, told: Secrets | None, codec: str, write: Writer) -> Writer:
    """Return the writer of protected requests in `codec`, made of `write`, which writes what is inside.

    Raises:
        BadManifest: as `opener`, or the text has no member to stand in.
    """
    if spec is None or told is None:
        return write
    seal, into = sealer(spec, told), spec.into
    if into is None:
        return lambda root: seal(write(root))
    if codec == "form":
        return lambda root: urlencode({into: seal(write(root)).decode()}).encode()
    if codec != "json":
        raise BadManifest("`protection.into` needs a json or form request")
    return lambda root: msgspec.json.encode({into: seal(write(root)).decode()})
