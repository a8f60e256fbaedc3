"""XML and SOAP bodies: templates into envelopes of either version, replies into nested tables."""

import re
from collections.abc import Sequence
from typing import Final

from onestop.gateway.manifest import Operation, Request
from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import Codes, MappingFailed, Value, is_literal
from onestop.gateway.mapping.templates import Filler, check_well_formed, template
from onestop.gateway.mapping.trees import NOT_XML, local, nested
from onestop.outbound.decoding import decode_xml
from onestop.outbound.errors import BadBody

_SPACES: Final = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
_ACTION: Final = re.compile(r"[!#-\[\]-~]{1,300}")


def action(operation: Operation) -> str | None:
    """Return the action of a SOAP 1.2 request, which `request.headers` tells as SOAPAction; None where it does not.

    Raises:
        BadManifest: it is no literal, and so cannot stand in the Content-Type.
    """
    for name, source in operation.request.headers.items():
        if name.lower() == "soapaction":
            literal = is_literal(source)
            if literal is None or not _ACTION.fullmatch(literal.strip('"')):
                raise BadManifest("SOAPAction of a SOAP 1.2 request is a literal in single quotes")
            return literal.strip('"')
    return None


def check_templates(codec: str, request: Request) -> None:
    """Refuse templates that are no XML, filled and in their envelope.

    Raises:
        BadManifest: says the line.
    """
    source, space = request.template or "", _SPACES.get(codec)
    if space is None:
        if source:
            check_well_formed(source)
        return
    opened = f'<soap:Envelope xmlns:soap="{space}">'
    check_well_formed(source, f"{opened}<soap:Body>", "</soap:Body></soap:Envelope>")
    if request.header_template is not None:
        check_well_formed(request.header_template, f"{opened}<soap:Header>", "</soap:Header></soap:Envelope>")


def writer(operation: Operation, codes: Codes, most_text: int) -> "_Writer":
    """Compile a template, in its envelope where it is SOAP.

    Raises:
        BadManifest: an expression cannot be compiled, or the whole is not well-formed.
    """
    request, space = operation.request, _SPACES.get(operation.request_codec)
    check_templates(operation.request_codec, request)
    body = template(request.template or "", codes, most_text)
    if space is None:
        return _Writer(operation.charset, [body])
    pieces: list[Filler | str] = [f'<soap:Envelope xmlns:soap="{space}">']
    if request.header_template is not None:
        pieces += ["<soap:Header>", template(request.header_template, codes, most_text), "</soap:Header>"]
    return _Writer(operation.charset, [*pieces, "<soap:Body>", body, "</soap:Body></soap:Envelope>"])


class _Writer:
    """Fills and encodes."""

    def __init__(self, charset: str, pieces: Sequence[Filler | str]) -> None:
        self._charset, self._pieces = charset, pieces
        self._head = f'<?xml version="1.0" encoding="{charset.upper()}"?>'

    def __call__(self, root: Value) -> bytes:
        filled = [piece if isinstance(piece, str) else piece(root) for piece in self._pieces]
        text = self._head + "".join(filled)
        if NOT_XML.search(text):
            raise MappingFailed("request.template", text, "needs characters that XML can hold")
        return text.encode(self._charset)


def read(body: bytes, charset: str) -> Value:
    """Return a document's content as nested tables.

    Raises:
        BadBody: it is not well-formed, declares a document type, or is nested too deeply.
    """
    return nested(decode_xml(body, charset=charset))  # type: ignore[arg-type]  # a charset of the manifest


def read_soap(body: bytes, charset: str) -> Value:
    """Return what stands below the Body of an envelope of either version; a fault has 1.1's names besides its own.

    Raises:
        BadBody: as `read`, or it is no envelope.
    """
    envelope = decode_xml(body, charset=charset)  # type: ignore[arg-type]  # a charset of the manifest
    if local(str(envelope.tag)) != "Envelope":
        raise BadBody("not_soap")
    for part in envelope:
        if isinstance(part.tag, str) and local(part.tag) == "Body":
            inner = nested(part, 1)
            if not isinstance(inner, dict):
                return {}
            fault = inner.get("Fault")
            if isinstance(fault, dict):
                _name_as_before(fault)
            return inner
    raise BadBody("not_soap")


def _name_as_before(fault: dict[str, Value]) -> None:
    """Give a fault of SOAP 1.2 the names that one of 1.1 has."""
    code, reason, detail = fault.get("Code"), fault.get("Reason"), fault.get("Detail")
    if isinstance(code, dict):
        fault.setdefault("faultcode", code.get("Value"))
    if isinstance(reason, dict):
        told = reason.get("Text")
        fault.setdefault("faultstring", told[0] if isinstance(told, list) and told else told)
    if detail is not None:
        fault.setdefault("detail", detail)
