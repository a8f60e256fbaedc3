"""XML Schema, as far as WSDLs use it, into a `Shape`: every schema of an import in one index."""

import posixpath
from collections.abc import Callable, Iterator
from typing import Any, Final

from lxml import etree

from onestop.onboarding.importing.models import Shape, Spot
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.reading_xml import path_of

XSD: Final = "http://www.w3.org/2001/XMLSchema"
_MAX_DEPTH: Final = 12
_MAX_MEMBERS: Final = 1500
_WHOLE: Final = {"int", "integer", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "unsignedInt",
                 "unsignedLong", "unsignedShort", "unsignedByte", "negativeInteger", "nonPositiveInteger"}  # fmt: skip
_FORMATS: Final = {"date": "date", "dateTime": "date-time", "time": "time", "anyURI": "uri", "base64Binary": "byte"}
_KINDS: Final = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
Name = tuple[str, str]  # namespace and local name
Load = Callable[[str, str], tuple[str, Any] | None]  # location and the file that names it, into file and root


def local(element: Any) -> str:
    """Return an element's name without namespace."""
    return etree.QName(element).localname


def children(element: Any, *names: str) -> Iterator[Any]:
    """Yield the child elements of these local names, all of them where none is told."""
    for child in element:
        if isinstance(child.tag, str) and (not names or local(child) in names):
            yield child


def qname(element: Any, told: str | None, default: str = "") -> Name | None:
    """Return what a prefixed name in an attribute means there."""
    if not told or not told.strip():
        return None
    prefix, colon, name = told.strip().rpartition(":")
    if not colon:
        return (element.nsmap.get(None) or default, name)
    return (element.nsmap.get(prefix, ""), name)


class Schemas:
    """All schemas of one import."""

    def __init__(self, notes: Notes, load: Load) -> None:
        self.notes, self._load = notes, load
        self._index: dict[str, dict[Name, tuple[Any, Any, str]]] = {kind: {} for kind in _KINDS}
        self._seen: set[tuple[str, str]] = set()
        self._heads: dict[Name, list[Name]] = {}
        self._left = 0
        self._asking = False
        self._files: list[tuple[Any, str]] = []  # every schema element and the file it stands in

    def add(self, schema: Any, file: str, namespace: str | None = None) -> None:
        """Take one `xsd:schema` and what it includes and imports."""
        self._files.append((schema, file))
        target = schema.get("targetNamespace") or namespace or ""
        for child in children(schema):
            kind, name = local(child), child.get("name")
            if kind in self._index and name:
                self._index[kind].setdefault((target, name), (child, schema, target))
                head = qname(child, child.get("substitutionGroup"))
                if head is not None:
                    self._heads.setdefault(head, []).append((target, name))
            elif kind in ("include", "import", "redefine"):
                self._include(child, file, target if kind != "import" else None)

    def _include(self, element: Any, file: str, namespace: str | None) -> None:
        location = element.get("schemaLocation")
        if not location:
            return
        found = self._load(location, file)
        if found is None:
            spot = Spot(pointer=path_of(element), file=file, line=element.sourceline)
            self.notes.add("xsd_missing", spot, "warning", location=location)
            return
        there, root = found
        if (there, namespace or "") in self._seen or root is None:
            return
        self._seen.add((there, namespace or ""))
        if local(root) == "schema":
            self.add(root, there, namespace)

    def element(self, name: Name, *, asking: bool) -> Shape:
        """Return the shape of a global element; `asking` for a request, where a choice takes its first way."""
        self._left, self._asking = _MAX_MEMBERS, asking
        found = self._find("element", name)
        if found is None:
            return Shape(pointer=name[1], namespace=name[0])
        return self._element(found[0], found[1], found[2], 0, ())

    def of_type(self, name: Name, *, asking: bool) -> Shape:
        """Return the shape of a named type."""
        self._left, self._asking = _MAX_MEMBERS, asking
        return self._named(name, 0, ())

    def knows(self, name: Name) -> bool:
        """Tell whether there is such a global element."""
        return self._find("element", name) is not None

    def _find(self, kind: str, name: Name) -> tuple[Any, Any, str] | None:
        found = self._index[kind].get(name)
        if found is None:  # a wrong or missing namespace, and only one thing of that name
            same = [entry for key, entry in self._index[kind].items() if key[1] == name[1]]
            found = same[0] if len(same) == 1 else None
        return found

    def _element(self, element: Any, schema: Any, target: str, depth: int, stack: tuple[Name, ...]) -> Shape:
        ref = qname(element, element.get("ref"), target)
        if ref is not None:
            found = self._find("element", ref)
            if found is None:
                self._missing(element, ref)
                return Shape(namespace=ref[0])
            shape = self._element(found[0], found[1], found[2], depth, stack)
            shape.namespace = found[2]
            return shape
        name = qname(element, element.get("type"), target)
        inline = next(children(element, "complexType", "simpleType"), None)
        if name is not None:
            shape = self._named(name, depth, stack)
        elif inline is not None:
            shape = self._type(inline, schema, target, depth, stack)
        else:
            shape = Shape(kind="any")
        top = element.getparent() is schema
        qualified = element.get("form", schema.get("elementFormDefault", "unqualified")) == "qualified"
        shape.namespace = target if top or qualified else ""
        shape.nullable = element.get("nillable") in ("true", "1")
        shape.text = _documentation(element) or shape.text
        shape.pointer = path_of(element)
        fixed = element.get("fixed")
        if fixed is not None:
            shape.enum = (fixed,)
        return shape

    def _spot(self, element: Any) -> Spot:
        """Return where an element of any of the schemas stands."""
        owner = element
        while owner is not None and local(owner) != "schema":
            owner = owner.getparent()
        file = next((file for schema, file in self._files if schema is owner), "")
        return Spot(pointer=path_of(element), file=file, line=element.sourceline)

    def _missing(self, element: Any, name: Name) -> None:
        self.notes.add("xsd_unknown", self._spot(element), "warning", name=name[1])

    def _named(self, name: Name, depth: int, stack: tuple[Name, ...]) -> Shape:
        if name[0] == XSD or (name[0] == "" and self._find("complexType", name) is None and name[1] in _builtins()):
            return _builtin(name[1])
        for kind in ("complexType", "simpleType"):
            found = self._find(kind, name)
            if found is not None:
                if name in stack or depth > _MAX_DEPTH or self._left <= 0:
                    return Shape(cut=True)
                return self._type(found[0], found[1], found[2], depth, (*stack, name))
        if "soap/encoding" in name[0]:
            return _builtin(name[1])
        return Shape()

    def _type(self, element: Any, schema: Any, target: str, depth: int, stack: tuple[Name, ...]) -> Shape:
        if local(element) == "simpleType":
            return self._simple(element, target, depth, stack)
        content = next(children(element, "complexContent", "simpleContent"), None)
        shape = Shape(kind="object")
        owner = element
        if content is not None:
            owner = next(children(content, "extension", "restriction"), None)
            if owner is None:
                return shape
            base = qname(owner, owner.get("base"), target)
            if local(content) == "simpleContent":
                return self._text_with_attributes(owner, base, target, depth, stack)
            if base is not None and "soap/encoding" in base[0]:
                return self._encoded_array(owner, target, depth, stack)
            if base is not None and local(owner) == "extension" and base != (XSD, "anyType"):
                above = self._named(base, depth + 1, stack)
                shape.members, shape.required = dict(above.members), above.required
        self._particles(owner, schema, target, shape, depth, stack, optional=False)
        self._attributes(owner, target, shape, depth, stack)
        return shape

    def _text_with_attributes(
        self, owner: Any, base: Name | None, target: str, depth: int, stack: tuple[Name, ...]
    ) -> Shape:
        """Return a text, or where attributes stand beside it a table of both."""
        text = self._named(base, depth, stack) if base else Shape(kind="value")
        shape = Shape(kind="object") if text.kind != "object" else text  # a base may have attributes of its own
        self._attributes(owner, target, shape, depth, stack)
        if not shape.members:
            return text
        if text is not shape:
            text.xml_text = True
            shape.members, shape.required = {"value": text, **shape.members}, shape.required | {"value"}
        return shape

    def _encoded_array(self, owner: Any, target: str, depth: int, stack: tuple[Name, ...]) -> Shape:
        for attribute in children(owner, "attribute"):
            for name, value in attribute.attrib.items():
                if str(name).endswith("}arrayType"):
                    item = qname(attribute, str(value).partition("[")[0], target)
                    if item is not None:
                        inner = Shape(kind="list", item=self._named(item, depth + 1, stack))
                        return Shape(kind="object", members={"item": inner})
        return Shape(kind="object")

    def _particles(
        self, owner: Any, schema: Any, target: str, shape: Shape, depth: int, stack: tuple[Name, ...], *, optional: bool
    ) -> None:
        for part in children(owner, "sequence", "all", "choice", "group", "element", "any"):
            kind = local(part)
            loose = optional or part.get("minOccurs") == "0"
            if kind == "element":
                self._member(part, schema, target, shape, depth, stack, optional=loose)
            elif kind == "group":
                found = self._find("group", qname(part, part.get("ref"), target) or ("", ""))
                if found is not None and depth < _MAX_DEPTH:
                    self._particles(found[0], found[1], found[2], shape, depth + 1, stack, optional=loose)
            elif kind == "choice" and self._asking and owner is not None:
                self._first_way(part, schema, target, shape, depth, stack, optional=loose)
            elif kind != "any":
                self._particles(part, schema, target, shape, depth, stack, optional=loose or kind == "choice")

    def _first_way(
        self,
        choice: Any,
        schema: Any,
        target: str,
        shape: Shape,
        depth: int,
        stack: tuple[Name, ...],
        *,
        optional: bool,
    ) -> None:
        ways = list(children(choice, "sequence", "all", "choice", "group", "element"))
        if len(ways) > 1:
            first = ways[0].get("name") or ways[0].get("ref") or "1"
            self.notes.add("xsd_choice", self._spot(choice), "warning", first=first)
        if not ways:
            return
        if local(ways[0]) == "element":
            self._member(ways[0], schema, target, shape, depth, stack, optional=optional)
        else:
            self._particles(ways[0], schema, target, shape, depth, stack, optional=optional)

    def _member(
        self, part: Any, schema: Any, target: str, shape: Shape, depth: int, stack: tuple[Name, ...], *, optional: bool
    ) -> None:
        name = part.get("name") or str(part.get("ref", "")).rpartition(":")[2]
        if not name or self._left <= 0:
            return
        self._left -= 1
        member = self._element(part, schema, target, depth + 1, stack)
        if part.get("maxOccurs", "1") not in ("0", "1"):
            namespace = member.namespace
            member = Shape(kind="list", item=member, pointer=member.pointer, namespace=namespace, text=member.text)
        shape.members[name] = member
        if not optional:
            shape.required |= {name}

    def _attributes(self, owner: Any, target: str, shape: Shape, depth: int, stack: tuple[Name, ...]) -> None:
        """Take attributes: of a request those that it must have, of a reply all."""
        for group in children(owner, "attributeGroup"):
            found = self._find("attributeGroup", qname(group, group.get("ref"), target) or ("", ""))
            if found is not None and depth < _MAX_DEPTH:
                self._attributes(found[0], found[2], shape, depth + 1, stack)
        wanted = ("required",) if self._asking else ("required", "optional")
        for attribute in children(owner, "attribute"):
            name = attribute.get("name")
            if name and attribute.get("use", "optional") in wanted and name not in shape.members and self._left > 0:
                self._left -= 1
                type_ = qname(attribute, attribute.get("type"), target)
                member = self._named(type_, depth + 1, stack) if type_ else Shape(kind="value")
                member.attribute, member.pointer = True, path_of(attribute)
                if attribute.get("fixed") is not None:
                    member.enum = (attribute.get("fixed"),)
                shape.members[name] = member
                shape.required |= {name}

    def _simple(self, element: Any, target: str, depth: int, stack: tuple[Name, ...]) -> Shape:
        restriction = next(children(element, "restriction"), None)
        if restriction is None:
            return Shape(kind="value")
        base = qname(restriction, restriction.get("base"), target)
        shape = self._named(base, depth + 1, stack) if base else Shape(kind="value")
        if shape.kind == "any":
            shape = Shape(kind="value")
        values = [v.get("value") for v in children(restriction, "enumeration") if v.get("value") is not None]
        shape.enum = tuple(values[:200]) or shape.enum
        pattern = next(children(restriction, "pattern"), None)
        shape.pattern = (pattern.get("value") or "")[:200] if pattern is not None else shape.pattern
        shape.text = _documentation(element) or shape.text
        return shape


def _documentation(element: Any) -> str:
    for annotation in children(element, "annotation"):
        for told in children(annotation, "documentation"):
            return " ".join("".join(told.itertext()).split())[:300]
    return ""


def _builtins() -> set[str]:
    return _WHOLE | set(_FORMATS) | {"string", "boolean", "decimal", "float", "double", "token"}


def _builtin(name: str) -> Shape:
    if name in ("anyType", "anySimpleType", "Struct", "Array"):
        return Shape()
    kind = "integer" if name in _WHOLE else "boolean" if name == "boolean" else "string"
    if name in ("decimal", "float", "double"):
        kind = "number"
    return Shape(kind="value", type=kind, format=_FORMATS.get(name, ""))


def relative(location: str, file: str) -> str:
    """Return where a location leads from the file that names it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), location.split("#")[0])).lstrip("/")
