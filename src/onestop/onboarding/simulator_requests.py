"""What a request must look like, read from the manifest alone: which parts are fixed, which are the caller's.

A request is compared part by part, so that a miss names exactly the header, field or piece of the path that differs.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from onestop.gateway.bodies import codecs
from onestop.gateway.manifest import ApiKey, Login, Manifest, Operation, Signed
from onestop.gateway.mapping.language import calls_of, expression, path_of
from onestop.onboarding.simulator_pages import place_of_parameter
from onestop.onboarding.simulator_paths import joined, step
from onestop.onboarding.simulator_wire import flat, plain, read_request
from onestop.outbound.errors import BadBody

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# The innermost of the parts that are repeated.
_PART = re.compile(r"\{\{\s*#each\s(?:(?!\{\{\s*[#/]each).)*?\{\{\s*/each\s*\}\}", re.DOTALL)
_PATH_PLACE = re.compile(r"\{([^{}/]+)\}")
_SHAPELESS = frozenset(("text", "trim"))
_HEAVY = 10  # a fixed part that differs weighs as much as so many of the caller's


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    raw_query: str = ""
    host: str = ""
    signed_path: str = ""  # the path as it was sent, where the simulator stands below another one

    @property
    def whole_path(self) -> str:
        """The path as the caller wrote and signed it."""
        return self.signed_path or self.path


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a request that is not as the manifest makes it."""

    where: str  # method, path, port, header.X, query.x, body.a.b
    sent: str | None  # None: it is not there
    expected: str | None  # None: nobody asked for it


class Leaf(msgspec.Struct, frozen=True):
    """One part of an operation's requests: fixed to a text, or the caller's value of that name."""

    fixed: str | None
    name: str | None  # what the value is called; None where it is changed on the way
    whole: bool = False  # everything below it belongs to it too
    optional: bool = False
    back: Callable[[str], str | None] | None = None  # from what was sent to the caller's value, where it was changed


class Form:
    """The form of one operation's requests."""

    def __init__(self, manifest: Manifest, operation: Operation) -> None:
        self.operation = operation
        self._codes = manifest.codes
        self._places = _PATH_PLACE.findall(operation.path)  # a name may be one that no group of a pattern can have
        fixed = map(re.escape, re.split(r"\{[^{}/]+\}", operation.path))
        self._path = re.compile("([^/]+)".join(fixed))
        spec = operation.request
        self.leaves: dict[str, Leaf] = {}
        for name, source in spec.path.items():
            self._leaf(f"path.{name}", source)
        self._tree("query", spec.query)
        for name, source in spec.headers.items():
            self._leaf(f"header.{name.lower()}", source)
        if spec.template is not None and operation.request_codec in ("xml", "soap", "soap12"):
            self._template(spec.template)
        elif spec.body is not None and operation.request_codec != "none":
            self._tree("body", spec.body)
        kind = codecs.content_type(operation)
        self._content_type = kind.partition(";")[0].strip().lower() if kind else None
        self._members = _credential_members(manifest)

    def fits(self, request: Request) -> dict[str, str] | None:
        """Return the values of the path's places; None where method or path are another operation's."""
        found = self._path.fullmatch(request.path)
        if found is None or request.method != self.operation.method:
            return None
        return dict(zip(self._places, found.groups(), strict=True))

    def facts(self, request: Request) -> dict[str, str]:
        """Return every part of a request that the manifest has a word about.

        Raises:
            BadBody: the body cannot be read as declared.
        """
        found = self._path.fullmatch(request.path)
        parts = zip(self._places, found.groups(), strict=True) if found else ()
        facts = {f"path.{name}": unquote(value) for name, value in parts}
        facts |= {self._member(name): value for name, value in request.query.items()}
        for where in self.leaves:
            name = where.removeprefix("header.")
            if where.startswith("header.") and name in request.headers:
                facts[where] = request.headers[name]
        body = read_request(self.operation, request.body, request.headers.get("content-type", ""))
        return facts | flat(body, "body") if body else facts  # a body of which nothing was told has no parts

    def _member(self, name: str) -> str:
        """Return what a name of a query is compared as: `a[b]` is a member of the table `a` where one was declared."""
        nested = "query." + name.replace("[", ".").replace("]", "")
        if f"query.{name}" in self.leaves or not (
            nested in self.leaves or f"query.{name.partition('[')[0]}" in self.leaves
        ):
            return f"query.{name}"
        return nested

    def differences(self, request: Request, facts: dict[str, str]) -> list[Difference]:
        """Return what differs in the parts that are not the caller's to choose."""
        found = []
        sent_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._content_type and request.body and sent_type != self._content_type:
            found.append(Difference(where="header.content-type", sent=sent_type or None, expected=self._content_type))
        for where, leaf in self.leaves.items():
            there = where in facts or (leaf.whole and any(name.startswith(where + ".") for name in facts))
            if not there:
                if not leaf.optional:
                    found.append(Difference(where=where, sent=None, expected=leaf.fixed or f"<{leaf.name or 'value'}>"))
            elif leaf.fixed is not None and facts.get(where) != leaf.fixed:
                found.append(Difference(where=where, sent=facts.get(where, "")[:80], expected=leaf.fixed))
        return found + [
            Difference(where=name, sent=facts[name][:80], expected=None) for name in facts if self._unasked(name)
        ]

    def weight(self, differences: list[Difference]) -> int:
        """Return how far a request is from this operation."""
        fixed = {where for where, leaf in self.leaves.items() if leaf.fixed is not None}
        return sum(_HEAVY if part.where in fixed else 1 for part in differences)

    def values(self, facts: dict[str, str]) -> dict[str, str]:
        """Return the caller's values by their names in the manifest: `subject.number`, `key`, `payload.phone`."""
        found: dict[str, str] = {}
        for where, leaf in self.leaves.items():
            sent = facts.get(where)
            value = leaf.back(sent) if sent and leaf.back is not None else sent
            if leaf.name is not None and value:
                found[leaf.name] = value
        return found

    def distance(self, facts: dict[str, str], other: dict[str, str]) -> list[str]:
        """Return the caller's parts in which two requests differ."""
        return [w for w, leaf in self.leaves.items() if leaf.fixed is None and facts.get(w) != other.get(w)]

    def _unasked(self, where: str) -> bool:
        place, _, rest = where.partition(".")
        if place not in ("body", "query") or where in self.leaves or rest in self._members:
            return False
        paging = self.operation.paging
        if paging is not None and where in [
            place_of_parameter(paging, name) for name in (paging.parameter, paging.size_parameter) if name
        ]:
            return False
        return not any(leaf.whole and where.startswith(name + ".") for name, leaf in self.leaves.items())

    def _leaf(self, where: str, source: Any) -> None:
        optional = self.operation.request.omit_null
        if not isinstance(source, str):
            self.leaves[where] = Leaf(plain(source), None)
            return
        names, calls = path_of(source), calls_of(source)
        head = joined(names) if names else "."
        if names is None:
            self.leaves[where] = Leaf(plain(expression(source, self._codes)({})), None)
        elif head == "now" or (set(calls) - _SHAPELESS and (back := self._way_back(calls)) is None):
            self.leaves[where] = Leaf(None, None, whole=True, optional=optional)
        elif set(calls) - _SHAPELESS:
            self.leaves[where] = Leaf(None, head, whole=True, optional=optional, back=back)
        else:
            self.leaves[where] = Leaf(None, head, whole=True, optional=optional)

    def _way_back(self, calls: list[str]) -> Callable[[str], str | None] | None:
        """Return what undoes the one function of an expression, as far as it can be undone."""
        if len(calls) != 1:
            return None
        name, _, argument = calls[0].rstrip(")").partition("(")
        if name == "day":
            return lambda sent: _iso_day(sent, argument or "%Y%m%d")
        if name == "code" and argument in self._codes:
            ours = {theirs: mine for mine, theirs in self._codes[argument].items()}
            return lambda sent: ours.get(sent, sent)
        if name == "encode" and argument in self._codes:
            table = self._codes[argument]
            return lambda sent: table.get(sent, sent)
        return (lambda sent: sent) if name in ("upper", "lower", "default", "int", "number") else None

    def _tree(self, where: str, source: Any) -> None:
        if isinstance(source, dict) and set(source) != {"each", "fields"}:
            for name, part in source.items():
                self._tree(f"{where}.{step(name)}", part)
        elif isinstance(source, list):
            for index, part in enumerate(source):
                self._tree(f"{where}.{index}", part)
        elif isinstance(source, dict):
            self.leaves[where] = Leaf(None, None, whole=True, optional=True)
        else:
            self._leaf(where, source)

    def _template(self, template: str) -> None:
        """Find out where each place of a template comes to stand, by reading it with marks in them."""
        sources: list[str] = []

        def mark(found: "re.Match[str]") -> str:
            sources.append(found[1].strip())
            return f"onestop-place-{len(sources) - 1}."

        found = 1
        while found:
            template, found = _PART.subn("<onestop-part/>", template)
        text = _PLACE.sub(mark, template)
        if "soap" in self.operation.request_codec:
            text = f'<s:Envelope xmlns:s="urn:s"><s:Body>{text}</s:Body></s:Envelope>'
        try:
            tree = read_request(self.operation, text.encode(self.operation.charset))
        except BadBody:
            return
        for where, value in flat(tree, "body").items():
            above, _, name = where.rpartition(".")
            if name == "onestop-part":  # as many as the caller has
                self.leaves[above] = Leaf(None, None, whole=True, optional=True)
                continue
            single = re.fullmatch(r"onestop-place-(\d+)\.", value)
            if single:
                self._leaf(where, sources[int(single[1])])
            elif "onestop-place-" in value:
                self.leaves[where] = Leaf(None, None)
            else:
                self.leaves[where] = Leaf(value, None)


def _iso_day(sent: str, pattern: str) -> str | None:
    try:
        return datetime.strptime(sent, pattern).date().isoformat()
    except ValueError:
        return None


def _credential_members(manifest: Manifest) -> frozenset[str]:
    """Return the names that credentials add to a query or a body."""
    auth = manifest.auth
    names = set(manifest.always.query)
    if isinstance(auth, ApiKey) and auth.place != "header":
        names.add(auth.name)
    if isinstance(auth, (Signed, Login)):
        names |= set(auth.query) | set(auth.body)
    return frozenset(names)


def nearest_path(forms: list[Form], request: Request) -> tuple[Form, list[Difference]]:
    """Return the operation whose method and path are most like a request's, and in what they differ."""
    sent = request.path.split("/")

    def unlike(form: Form) -> tuple[int, bool]:
        told = form.operation.path.split("/")
        same = sum(a == b or b.startswith("{") for a, b in zip(sent, told, strict=False))
        return max(len(sent), len(told)) - same, request.method != form.operation.method

    best = min(forms, key=unlike)
    parts, (steps, method) = [], unlike(best)
    if method:
        parts.append(Difference(where="method", sent=request.method, expected=best.operation.method))
    if steps:
        parts.append(Difference(where="path", sent=request.path[:200], expected=best.operation.path))
    return best, parts
