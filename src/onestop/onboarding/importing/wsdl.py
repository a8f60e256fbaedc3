"""WSDL 1.1 with SOAP 1.1 and 1.2 bindings, document and rpc, into a `Description`.

Read by hand rather than by a SOAP library: nothing may be fetched, a missing schema may cost its own operations only,
and what is needed of a WSDL here is little.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.models import Answer, Described, Description, Media, Scheme, Shape, Soap, Spot
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.reading_xml import path_of, read
from onestop.onboarding.importing.soap import is_name
from onestop.onboarding.importing.unpacking import to_text
from onestop.onboarding.importing.xsd import XSD, Name, Schemas, children, local, qname, relative

_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_WSDL2: Final = "http://www.w3.org/ns/wsdl"
_SOAPS: Final[Mapping[str, Literal["1.1", "1.2"]]] = {
    "http://schemas.xmlsoap.org/wsdl/soap/": "1.1",
    "http://schemas.xmlsoap.org/wsdl/soap12/": "1.2",
}
_MOST_OPERATIONS: Final = 2000
_FOREIGN: Final = {"application": "WADL", "Edmx": "OData", "Envelope": "SOAP message"}


def _space(element: Any) -> str:
    return str(element.tag).partition("}")[0].lstrip("{") if isinstance(element.tag, str) else ""


class Wsdl:
    """The reader of one WSDL and what it imports."""

    def __init__(self, root: Any, main: str, beside: Mapping[str, bytes], notes: Notes) -> None:
        self.main, self.notes, self._beside = main, notes, beside
        self._roots: dict[str, Any] = {main: root}
        self._files: dict[int, str] = {}
        self.root = root
        self.schemas = Schemas(notes, self._load)
        self._things: dict[str, dict[Name, Any]] = {"message": {}, "portType": {}, "binding": {}}
        self._services: list[Any] = []
        if _space(root) == _WSDL2:
            raise DocumentUnusable("other_format", file=main, name="WSDL 2.0")
        if local(root) != "definitions":
            name = "XML Schema" if _space(root) == XSD else _FOREIGN.get(local(root), local(root))
            raise DocumentUnusable("other_format", file=main, name=name)
        self._take(root, main, set())

    def _load(self, location: str, file: str) -> tuple[str, Any] | None:
        """Return a file that lies beside the document, by its place or else by its last name; never over a network."""
        there = relative(location, file)
        if re.match(r"(?i)[a-z][a-z0-9+.-]*:", location) or there not in self._beside:
            last = re.sub(r"^.*[/=]", "", location.partition("#")[0])
            near = [n for n in self._beside if last in (n.rpartition("/")[2], n.rpartition("/")[2].rpartition(".")[0])]
            if len(near) != 1:
                return None
            there = near[0]
        if there not in self._roots:
            try:
                self._roots[there] = read(to_text(self._beside[there], there, self.notes), there)
            except DocumentUnusable as fault:
                spot = Spot(file=there, line=fault.line)
                self.notes.add("file_unusable", spot, "warning", ref=location, line=fault.line or 1)
                self._roots[there] = None
        return (there, self._roots[there]) if self._roots[there] is not None else None

    def _take(self, definitions: Any, file: str, seen: set[str]) -> None:
        target = definitions.get("targetNamespace", "")
        seen.add(file)
        for child in children(definitions):
            kind = local(child)
            if kind in self._things and child.get("name"):
                self._things[kind].setdefault((target, child.get("name")), child)
            elif kind == "service":
                self._services.append(child)
            elif kind == "types":
                for schema in children(child, "schema"):
                    self.schemas.add(schema, file)
            elif kind == "import" and child.get("location"):
                found = self._load(child.get("location"), file)
                if found is None:
                    spot = Spot(pointer=path_of(child), file=file, line=child.sourceline)
                    self.notes.add("xsd_missing", spot, "warning", location=child.get("location"))
                elif found[0] not in seen and local(found[1]) == "definitions":
                    self._take(found[1], found[0], seen)
                elif local(found[1]) == "schema":
                    self.schemas.add(found[1], found[0])

    def _thing(self, kind: str, name: Name | None) -> Any:
        if name is None:
            return None
        found = self._things[kind].get(name)
        if found is None:
            same = [thing for key, thing in self._things[kind].items() if key[1] == name[1]]
            found = same[0] if len(same) == 1 else None
        return found

    # --- services and bindings ------------------------------------------------------------------------------------

    def describe(self) -> Description:
        """Return every operation with its bodies.

        Raises:
            DocumentUnusable: there is no operation with a SOAP binding.
        """
        operations: dict[tuple[Name, str], Described] = {}  # two port types may each have one of a name
        servers: list[str] = []
        for binding, version, address in self._bindings():
            where = urlsplit(address) if _is_http(address) else urlsplit("")
            server = f"{where.scheme}://{where.netloc}" if where.netloc else ""
            if server and server not in servers:
                servers.append(server)
            port_type = qname(binding, binding.get("type")) or ("", "")
            for operation in children(binding, "operation"):
                name = operation.get("name")
                if name and (port_type, name) not in operations and len(operations) < _MOST_OPERATIONS:
                    made = self._operation(name, operation, binding, version, where.path or "/")
                    if made is not None:
                        made.server = server
                        operations[port_type, name] = made
        if not operations:
            raise DocumentUnusable("no_operations", file=self.main)
        service = self._services[0].get("name") if self._services else self.root.get("name")
        return Description(
            format="wsdl-1.1",
            title=_documentation(self.root) or service or "",
            version="",
            contact="",
            servers=servers,
            schemes=self._schemes(),
            security=tuple({name: ()} for name in self._schemes()),
            operations=list(operations.values()),
        )

    def _bindings(self) -> Iterator[tuple[Any, Literal["1.1", "1.2"], str]]:
        """Yield SOAP bindings with version and address, those of 1.1 first: more systems speak it well."""
        found: list[tuple[Any, Literal["1.1", "1.2"], str]] = []
        for service in self._services:
            for port in children(service, "port"):
                binding = self._thing("binding", qname(port, port.get("binding")))
                version = _version(binding)
                address = next((c.get("location", "") for c in children(port, "address")), "")
                if binding is not None and version is not None:
                    found.append((binding, version, address))
                else:
                    self._note("binding_unused", port, "note", name=port.get("name", "?"))
        if not found:
            for binding in self._things["binding"].values():
                version = _version(binding)
                if version is not None:
                    found.append((binding, version, ""))
        yield from sorted(found, key=lambda entry: entry[1])

    def _note(self, code: str, element: Any, level: Any, **params: object) -> None:
        spot = Spot(pointer=path_of(element), file=self.main, line=element.sourceline)
        self.notes.add(code, spot, level, **params)

    def _schemes(self) -> dict[str, Scheme]:
        for element in self.root.iter():
            if not isinstance(element.tag, str) or "policy" not in _space(element).lower():
                continue
            if local(element) in ("UsernameToken", "HttpBasicAuthentication", "HttpsToken"):
                kind: Literal["ws_security", "basic", "mutual_tls"] = "basic"
                if local(element) == "UsernameToken":
                    kind = "ws_security"
                elif local(element) == "HttpsToken":
                    if "RequireClientCertificate" not in _tree_words(element):
                        continue
                    kind = "mutual_tls"
                return {local(element): Scheme(name=local(element), kind=kind, pointer=path_of(element))}
        return {}

    # --- one operation --------------------------------------------------------------------------------------------

    def _operation(
        self, name: str, bound: Any, binding: Any, version: Literal["1.1", "1.2"], path: str
    ) -> Described | None:
        port_type = self._thing("portType", qname(binding, binding.get("type")))
        declared = None
        if port_type is not None:
            declared = next((o for o in children(port_type, "operation") if o.get("name") == name), None)
        if declared is None:
            self._note("operation_undeclared", bound, "warning", name=name)
            return None
        own = next((c for c in children(bound, "operation") if _space(c) in _SOAPS), None)
        style = next((c.get("style") for c in children(binding, "binding") if c.get("style")), "document")
        style = (own.get("style") if own is not None else None) or style
        asked = self._message(declared, "input")
        body, heads = self._body_of(bound, "input"), self._heads(bound, "input")
        if body is not None and body.get("use") == "encoded":
            self._note("soap_encoded", bound, "warning", name=name)
        wrapper, space, shape = self._request(name, style, asked, self._parts(asked, body, heads), body)
        header = self._header(bound)
        self._drop_unnameable(shape, bound)
        if header is not None:
            self._drop_unnameable(header, bound)
        if wrapper and not is_name(wrapper):
            self._note("xml_name", bound, "error", name=wrapper[:60])
            return None
        told, heads = self._message(declared, "output"), self._heads(bound, "output")
        answer = self._reply(name, style, told, self._parts(told, self._body_of(bound, "output"), heads))
        soap = Soap(
            version=version,
            action=(own.get("soapAction") or "") if own is not None else "",
            rpc=style == "rpc",
            wrapper=wrapper,
            namespace=space,
            faults=tuple(self._faults(declared)),
            header=header,
        )
        return Described(
            pointer=path_of(bound),
            method="POST",
            path=_clean(path),
            name=name,
            text=_documentation(declared)[:80],
            soap=soap,
            bodies=[Media(type="soap", shape=shape)],
            answers=[answer],
            raw=None,
        )

    def _drop_unnameable(self, shape: Shape, bound: Any) -> None:
        """Leave out of a request what no element can be called."""
        left, seen = [shape], set()
        while left:
            one = left.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            for name in [name for name in one.members if not is_name(name)]:
                one.members.pop(name)
                one.required -= {name}
                self._note("xml_name", bound, "warning", name=name[:60])
            left += [*one.members.values(), *([one.item] if one.item is not None else [])]

    def _message(self, declared: Any, side: str) -> Any:
        told = next(children(declared, side), None)
        return self._thing("message", qname(told, told.get("message"))) if told is not None else None

    def _body_of(self, bound: Any, side: str) -> Any:
        told = next(children(bound, side), None)
        return next((c for c in children(told, "body") if _space(c) in _SOAPS), None) if told is not None else None

    def _heads(self, bound: Any, side: str) -> list[tuple[Any, str]]:
        """Return which parts of which messages stand in the header."""
        told = next(children(bound, side), None)
        return [
            (self._thing("message", qname(header, header.get("message"))), header.get("part", ""))
            for header in (children(told, "header") if told is not None else ())
        ]

    def _parts(self, message: Any, body: Any, heads: list[tuple[Any, str]]) -> list[Any]:
        """Return the parts of a body: those that its binding names, else all that do not stand in the header."""
        parts = list(children(message, "part")) if message is not None else []
        told = body.get("parts") if body is not None else None
        if told is not None and told.split():
            return [part for part in parts if part.get("name") in told.split()]
        above = {name for owner, name in heads if owner is message}
        return [part for part in parts if part.get("name") not in above]

    def _request(self, name: str, style: str, message: Any, parts: list[Any], body: Any) -> tuple[str, str, Shape]:
        space = body.get("namespace", "") if body is not None else ""
        if style == "rpc":
            return name, space, self._rpc(parts, asking=True)
        if len(parts) == 1 and parts[0].get("element"):
            element = qname(parts[0], parts[0].get("element")) or ("", name)
            self._known(element, parts[0])
            shape = self.schemas.element(element, asking=True)
            return element[1], element[0], shape
        if not parts:
            return "", "", Shape(kind="object")
        self._note("soap_bare", message, "warning", name=name)
        return "", "", self._rpc(parts, asking=True)

    def _known(self, element: Name, part: Any) -> None:
        if not self.schemas.knows(element):
            self._note("element_unknown", part, "warning", name=element[1])

    def _rpc(self, parts: list[Any], *, asking: bool) -> Shape:
        shape = Shape(kind="object")
        for part in parts:
            element, type_ = qname(part, part.get("element")), qname(part, part.get("type"))
            if element is not None:
                self._known(element, part)
                shape.members[element[1]] = self.schemas.element(element, asking=asking)
            elif type_ is not None:
                member = self.schemas.of_type(type_, asking=asking)
                member.namespace, member.pointer = "", path_of(part)
                shape.members[part.get("name", "part")] = member
        shape.required = frozenset(shape.members)
        return shape

    def _reply(self, name: str, style: str, message: Any, parts: list[Any]) -> Answer:
        """Return the answer as it is read: what stands below the SOAP body."""
        if message is None:
            return Answer(status="202", media=[], headers=(), text="", pointer="")
        below = Shape(kind="object", pointer=path_of(message))
        if style == "rpc":
            below.members[f"{name}Response"] = self._rpc(parts, asking=False)
        else:
            for part in parts:
                element = qname(part, part.get("element"))
                if element is not None:
                    self._known(element, part)
                    below.members[element[1]] = self.schemas.element(element, asking=False)
        below.required = frozenset(below.members)
        media = [Media(type="soap", shape=below)]
        return Answer(status="200", media=media, headers=(), text="", pointer=below.pointer)

    def _faults(self, declared: Any) -> Iterator[str]:
        for fault in children(declared, "fault"):
            message = self._thing("message", qname(fault, fault.get("message")))
            for part in children(message, "part") if message is not None else ():
                element = qname(part, part.get("element"))
                if element is not None:
                    yield element[1]

    def _header(self, bound: Any) -> Shape | None:
        shape = Shape(kind="object")
        for message, name in self._heads(bound, "input"):
            for part in children(message, "part") if message is not None else ():
                element = qname(part, part.get("element"))
                if part.get("name") == name and element is not None:
                    shape.members[element[1]] = self.schemas.element(element, asking=True)
        shape.required = frozenset(shape.members)
        return shape if shape.members else None


def _version(binding: Any) -> Literal["1.1", "1.2"] | None:
    for child in children(binding, "binding") if binding is not None else ():
        if _space(child) in _SOAPS:
            return _SOAPS[_space(child)]
    return None


def _documentation(element: Any) -> str:
    for told in children(element, "documentation"):
        return " ".join("".join(told.itertext()).split())[:80]
    return ""


def _tree_words(element: Any) -> str:
    return " ".join(local(part) for part in element.iter() if isinstance(part.tag, str))


def _is_http(address: str) -> bool:
    try:
        return urlsplit(address.strip()).scheme in ("http", "https")
    except ValueError:
        return False


def _clean(path: str) -> str:
    return re.sub(r"[\s?#]+", "-", path)[:200]
