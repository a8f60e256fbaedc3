"""WS-Security UsernameToken (OASIS 1.1) in the header of the SOAP envelope that the writer has made."""

import hashlib
import re
import secrets
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from onestop.gateway.auth.body import CannotCarry
from onestop.gateway.auth.credentials import Credentials
from onestop.gateway.auth.keys import secret
from onestop.gateway.auth.recipes import Kitchen, Outgoing
from onestop.gateway.manifest_auth import WsSecurity

_LIFE = timedelta(minutes=5)
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_SECURITY = (
    f'<wsse:Security xmlns:wsse="{_OASIS}wssecurity-secext-1.0.xsd"'
    f' xmlns:wsu="{_OASIS}wssecurity-utility-1.0.xsd" {{soap}}:mustUnderstand="1">'
)
_PROFILE = _OASIS + "username-token-profile-1.0#"
_NONCE_TYPE = _OASIS + "soap-message-security-1.0#Base64Binary"
# The envelope is our own writer's; only what stands at its beginning is looked at, nothing that a value brought in.
_ENVELOPE = re.compile(
    rb"(?:<\?xml[^>]{0,200}\?>)?\s*<([A-Za-z_][\w.-]{0,20}):Envelope\b[^>]{0,2000}>\s*"
    rb"(?:<\1:Header(?:\s[^>]{0,2000})?(?<!/)>|(?=<\1:Body\b))"
)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class UsernameToken(Credentials):
    """A name with a password, or with its digest over a nonce and a moment."""

    def __init__(self, spec: WsSecurity, kitchen: Kitchen) -> None:
        self._user = escape(secret(kitchen.told, "username"))
        self._password = secret(kitchen.told, "password")
        self._digest, self._timestamp = spec.password == "digest", spec.timestamp  # noqa: S105 - a word

    def apply(self, out: Outgoing) -> None:
        found = _ENVELOPE.match(out.body)
        if found is None:
            raise CannotCarry("a body that is no SOAP envelope")
        soap = found[1].decode()
        header = self._header().replace("{soap}", soap)
        if b":Header" not in found[0]:
            header = f"<{soap}:Header>{header}</{soap}:Header>"
        out.body = out.body[: found.end()] + header.encode("ascii", "xmlcharrefreplace") + out.body[found.end() :]

    def _header(self) -> str:
        now = datetime.now(UTC)
        stamp = f"<wsu:Created>{_moment(now)}</wsu:Created><wsu:Expires>{_moment(now + _LIFE)}</wsu:Expires>"
        first = f"<wsu:Timestamp>{stamp}</wsu:Timestamp>" if self._timestamp else ""
        return f"{_SECURITY}{first}{self._token(_moment(now))}</wsse:Security>"

    def _token(self, created: str) -> str:
        if not self._digest:
            password = f'<wsse:Password Type="{_PROFILE}PasswordText">{escape(self._password)}</wsse:Password>'
            return f"<wsse:UsernameToken><wsse:Username>{self._user}</wsse:Username>{password}</wsse:UsernameToken>"
        nonce = secrets.token_bytes(16)
        # SHA-1 is the profile's own; the nonce and the moment make each one good once.
        told = hashlib.sha1(nonce + created.encode() + self._password.encode()).digest()  # noqa: S324
        return (
            f"<wsse:UsernameToken><wsse:Username>{self._user}</wsse:Username>"
            f'<wsse:Password Type="{_PROFILE}PasswordDigest">{b64encode(told).decode()}</wsse:Password>'
            f'<wsse:Nonce EncodingType="{_NONCE_TYPE}">{b64encode(nonce).decode()}</wsse:Nonce>'
            f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken>"
        )
