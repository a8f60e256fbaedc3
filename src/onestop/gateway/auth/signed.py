"""Signatures over a declared base text, as app platforms want them; a platform is a declaration, not code."""

from urllib.parse import urlencode

from onestop.gateway.auth.body import ParamsText, add_members
from onestop.gateway.auth.credentials import Credentials
from onestop.gateway.auth.digests import ENCODE, signer
from onestop.gateway.auth.recipes import Attempt, Kitchen, Outgoing, Recipe
from onestop.gateway.manifest_auth import Signed

_BASE = frozenset(("params",))
_SENT = frozenset(("params", "signature"))
Table = list[tuple[str, Recipe]]


class Signing(Credentials):
    """Fills the declared members, signs the base text, fills what carries the signature."""

    def __init__(self, spec: Signed, kitchen: Kitchen) -> None:
        self._base = kitchen.recipe(spec.base, "auth.base", _BASE)
        self._headers = kitchen.table(spec.headers, "auth.headers", _SENT)
        # What lacks the signature is there when the request is signed; what holds it comes after.
        self._query, self._late_query = _split(kitchen.table(spec.query, "auth.query", _SENT))
        self._body, self._late_body = _split(kitchen.table(spec.body, "auth.body", _SENT))
        self._signed_only = kitchen.table(spec.params.extra, "auth.params.extra")
        self._params = ParamsText(spec.params, "auth.params") if self._asks_for_params() else None
        self._sign, self._encode = signer(spec.digest, kitchen.told), ENCODE[spec.encoding]

    def apply(self, out: Outgoing) -> None:
        at = Attempt(out)
        if self._query or self._body or self._params is not None:
            self._before(at)
        base = self._base.fill(at).encode("utf-8", "surrogateescape")
        at.signature = self._encode(self._sign(base))
        headers = [(name, recipe.fill(at)) for name, recipe in self._headers]
        if self._late_query:
            out.add_query(urlencode([(name, recipe.fill(at)) for name, recipe in self._late_query]))
        if self._late_body:
            add_members(out, [(name, recipe.fill(at)) for name, recipe in self._late_body])
        out.headers += headers

    def _before(self, at: Attempt) -> None:
        query = [(name, recipe.fill(at)) for name, recipe in self._query]
        body = [(name, recipe.fill(at)) for name, recipe in self._body]
        if query:
            at.out.add_query(urlencode(query))
        if body:
            add_members(at.out, body)
        if self._params is not None:
            own = query + body + [(name, recipe.fill(at)) for name, recipe in self._signed_only]
            at.params = self._params(at.out, own)

    def _asks_for_params(self) -> bool:
        tables = (self._headers, self._query, self._late_query, self._body, self._late_body)
        recipes = [self._base, *(recipe for table in tables for _, recipe in table)]
        return any("params" in recipe.names for recipe in recipes)


def _split(table: Table) -> tuple[Table, Table]:
    early = [entry for entry in table if "signature" not in entry[1].names]
    return early, [entry for entry in table if "signature" in entry[1].names]
