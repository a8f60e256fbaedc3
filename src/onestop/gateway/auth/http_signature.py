"""HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530): ours on requests, others' on callbacks.

Own code, because the signed message here is bytes about to be written and the needed part is small: one signature, a
closed list of derived components, no component parameters. Its base texts are checked against the RFC's.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence

from onestop.gateway.auth.credentials import Credentials
from onestop.gateway.auth.digests import Check, signer
from onestop.gateway.auth.recipes import Attempt, Kitchen, Outgoing
from onestop.gateway.manifest_auth import HttpSignature
from onestop.gateway.manifest_base import BadManifest

_FIELD = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_LABEL = re.compile(r"[a-z*][a-z0-9_.*-]{0,63}")
_USUAL_PORT = {"https": ":443", "http": ":80"}
# One member of Signature-Input as we read it: names in quotes, then parameters that are texts or whole numbers.
_INPUT = re.compile(
    r'\(((?:"[!-~]{1,100}"(?: "[!-~]{1,100}"){0,31})?)\)'
    r'((?:;[a-z][a-z0-9_]{0,31}=(?:"[ !#-\[\]-~]{0,256}"|\d{1,15})){0,8})'
)
_PARAM = re.compile(r';([a-z][a-z0-9_]*)=(?:"([^"]*)"|(\d+))')
_MOST_HEADER = 4096


def content_digest(body: bytes) -> str:
    """Return the value of Content-Digest, by SHA-256."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


def component(out: Outgoing, name: str) -> str | None:
    """Return what one component of a request stands for; None where the request has it not."""
    scheme, _, host = out.origin.partition("://")
    if name == "@method":
        return out.method
    if name == "@target-uri":
        return out.origin + out.target
    if name == "@authority":
        return host.lower().removesuffix(_USUAL_PORT.get(scheme, ""))
    if name == "@scheme":
        return scheme
    if name == "@request-target":
        return out.target
    if name == "@path":
        return out.path or "/"
    if name == "@query":
        return f"?{out.query}"
    values = [value.strip() for told, value in out.headers if told.lower() == name]
    return ", ".join(values) if values else None


DERIVED = frozenset(("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"))


def base_text(values: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """Return what is signed: one line a component, then the parameters."""
    lines = [f'"{name}": {value}' for name, value in values]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


def _text(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("a signature's parameter is printable ASCII")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class MessageSigning(Credentials):
    """Signs each request; a body gets its digest first."""

    def __init__(self, spec: HttpSignature, kitchen: Kitchen) -> None:
        for name in spec.components:
            if name not in DERIVED and _FIELD.fullmatch(name) is None:
                raise BadManifest(f"auth.components: {name!r} is no component that can be signed here")
        if _LABEL.fullmatch(spec.label) is None:
            raise BadManifest(f"auth.label: {spec.label!r} is no label")
        self._spec = spec
        self._key_id = kitchen.recipe(spec.key_id, "auth.key_id")
        self._sign = signer(spec.algorithm, kitchen.told)

    def apply(self, out: Outgoing) -> None:
        spec, at = self._spec, Attempt(out)
        if out.body and "content-digest" in spec.components and not out.header("content-digest"):
            out.headers.append(("Content-Digest", content_digest(out.body)))
        covered = [(name, value) for name in spec.components if (value := component(out, name)) is not None]
        parameters = self._parameters(at, [name for name, _ in covered])
        signature = self._sign(base_text(covered, parameters))
        out.headers.append(("Signature-Input", f"{spec.label}={parameters}"))
        out.headers.append(("Signature", f"{spec.label}=:{b64encode(signature).decode()}:"))

    def _parameters(self, at: Attempt, names: list[str]) -> str:
        spec, created = self._spec, int(at.now)
        told = [f"created={created}"]
        if spec.expires_s is not None:
            told.append(f"expires={created + spec.expires_s}")
        if spec.nonce:
            told.append(f'nonce="{at.nonce()}"')
        told += [f'alg="{spec.algorithm}"', f"keyid={_text(self._key_id.fill(at))}"]
        if spec.tag is not None:
            told.append(f"tag={_text(spec.tag)}")
        return ";".join(["(" + " ".join(f'"{name}"' for name in names) + ")", *told])


class Claimed:
    """A signature as a message claims it: what it covers, its parameters as sent, and its bytes."""

    __slots__ = ("components", "parameters", "signature", "told")

    def __init__(self, components: list[str], parameters: str, told: dict[str, str], signature: bytes) -> None:
        self.components, self.parameters, self.told, self.signature = components, parameters, told, signature


def claimed(signature_input: str, signature: str) -> Claimed | None:
    """Read a message's only signature; None where there is none, several, or it is not written as we read it."""
    label, _, parameters = signature_input.strip().partition("=")
    if len(signature_input) > _MOST_HEADER or len(signature) > _MOST_HEADER or _LABEL.fullmatch(label) is None:
        return None
    found = _INPUT.fullmatch(parameters)
    head, _, value = signature.strip().partition("=")
    if found is None or head != label or len(value) < 3 or value[0] != ":" or value[-1] != ":":
        return None
    names = found[1].replace('"', "").split(" ") if found[1] else []
    told: dict[str, str] = {}
    for name, text, number in _PARAM.findall(found[2]):
        if name in told:
            return None
        told[name] = number or text
    try:
        raw = b64decode(value[1:-1], validate=True)
    except NotBase64:
        return None
    return Claimed(names, parameters, told, raw) if len(set(names)) == len(names) else None


def is_genuine(claim: Claimed, message: Outgoing, algorithm: str, check: Check) -> bool:
    """Tell whether a claimed signature over this message is genuine and, where it names an algorithm, by that one."""
    if claim.told.get("alg", algorithm) != algorithm:
        return False
    values = [(name, component(message, name)) for name in claim.components]
    if any(value is None or not value.isascii() for _, value in values):
        return False
    known = [(name, value) for name, value in values if value is not None]
    return check(base_text(known, claim.parameters), claim.signature)
