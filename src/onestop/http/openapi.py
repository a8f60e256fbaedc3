"""The OpenAPI 3.1 document and its page, both without the Internet.

Litestar tells paths and parameters; the types of bodies and replies come from msgspec, which also decodes them, so that
the document says exactly what is taken. Added here: every refusal, the security schemes, the headers, the streams.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.response import Response
from litestar.router import Router
from litestar.routes import HTTPRoute

from onestop.http.gate import FACTS
from onestop.http.models import RouteFacts
from onestop.http.problem_pages import render
from onestop.http.problems import MEDIA_TYPE, STATUS, Problem, context_of
from onestop.http.streams import EventStream

_REF: Final = "#/components/schemas/{name}"
_METHODS: Final = ("get", "put", "post", "delete", "patch")
_CHANGES: Final = frozenset({"put", "post", "delete", "patch"})
_PARAMETER_NOISE: Final = ("deprecated", "allowEmptyValue", "allowReserved")
_REPLY_HEADERS: Final = {
    "Request-Id": {"$ref": "#/components/headers/Request-Id"},
    "traceparent": {"$ref": "#/components/headers/traceparent"},
}

Document = dict[str, Any]


def config(title: str, version: str) -> OpenAPIConfig:
    """Return the configuration Litestar builds its part of the document by; the two pages are served under /schema."""
    return OpenAPIConfig(
        title=title,
        version=version,
        use_handler_docstrings=True,
        render_plugins=[_JsonDocument(path="/openapi.json", media_type="application/json"), _Page(path="/")],  # type: ignore[arg-type]
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt={"public": True}),
    )


def document_of(app: Litestar) -> Document:
    """Return the finished document of an app; worked out at the first call."""
    made: Document | None = app.state.get("openapi_document")
    if made is None:
        made = complete(app, app.openapi_schema.to_schema(), app.state.get("streams", ()))
        app.state["openapi_document"] = made
        app.state["openapi_json"] = msgspec.json.encode(made)
    return made


class _JsonDocument(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        document_of(request.app)
        encoded: bytes = request.app.state["openapi_json"]
        return encoded


class _Page(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        lang = context_of(request.scope).lang
        page: bytes | None = request.app.state.get(f"openapi_page_{lang}")
        if page is None:  # tens of milliseconds: once for each language
            document = document_of(request.app)
            operations = sorted(_operations(document), key=lambda o: (o["tag"], o["path"], o["method"]))
            page = render("schema.html", lang, document=document, operations=operations)
            request.app.state[f"openapi_page_{lang}"] = page
        return page


def _operations(document: Document) -> Iterator[dict[str, Any]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                yield {"path": path, "method": method, "tag": (operation.get("tags") or ["·"])[0], "told": operation}


def complete(app: Litestar, schema: Document, streams: Sequence[EventStream]) -> Document:
    """Return Litestar's document with everything it does not know."""
    document = copy.deepcopy(schema)
    document["info"].setdefault("license", {"name": "Apache-2.0", "identifier": "Apache-2.0"})
    handlers = {
        (route.path_format, str(method).lower()): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    }
    bodies = _Bodies([h for (_, method), h in handlers.items() if method != "options"])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            handler = handlers.get((path, method))
            if handler is not None:
                _complete_operation(operation, method, handler, bodies)
    for stream in streams:
        document["paths"].setdefault(stream.template, {})["get"] = _stream_operation(stream)
    _complete_components(document, bodies)
    return document


class _Bodies:
    """JSON Schemas, by msgspec, of what handlers take and return."""

    def __init__(self, handlers: Sequence[HTTPRouteHandler]) -> None:
        self._kinds: list[Any] = [Problem]
        for handler in handlers:
            for kind in (taken(handler), returned(handler)):
                if kind is not None and kind not in self._kinds and _can_be_told(kind):
                    self._kinds.append(kind)
        schemas, self.components = msgspec.json.schema_components(self._kinds, ref_template=_REF)
        self._schemas = list(schemas)

    def of(self, kind: Any) -> dict[str, Any] | None:
        """Return the schema of a type; None where msgspec has none for it."""
        return self._schemas[self._kinds.index(kind)] if kind in self._kinds else None


def _can_be_told(kind: Any) -> bool:
    try:
        msgspec.json.schema_components([kind], ref_template=_REF)
    except TypeError:
        return False
    return True


def taken(handler: HTTPRouteHandler) -> Any:
    """Return the type of a handler's body, None where it takes none."""
    data = handler.parsed_fn_signature.parameters.get("data")
    return None if data is None else data.annotation


def returned(handler: HTTPRouteHandler) -> Any:
    """Return the type of a handler's JSON reply: what it returns, or what its `Response` holds."""
    told = handler.opt.get("returns")
    if told is not None:
        return told
    field = handler.parsed_fn_signature.return_type
    if field.is_subclass_of(Response):
        inner = field.inner_types[0].annotation if field.inner_types else None
        return None if inner in (None, Any, bytes, str, type(None)) else inner
    return None if field.annotation in (None, type(None), bytes, str) else field.annotation


def _complete_operation(operation: dict[str, Any], method: str, handler: HTTPRouteHandler, bodies: _Bodies) -> None:
    facts: RouteFacts = handler.opt[FACTS]
    operation.pop("deprecated", None)
    _describe(operation, handler)
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        for noise in _PARAMETER_NOISE:
            parameter.pop(noise, None)
    parameters.append({"$ref": "#/components/parameters/Budget"})
    if facts.idempotent:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if handler.opt.get("edits"):
        parameters.append({"$ref": "#/components/parameters/IfMatch"})
    if (schema := bodies.of(taken(handler))) is not None and "requestBody" in operation:
        for media in operation["requestBody"]["content"].values():
            media["schema"] = schema
    _complete_replies(operation, handler, bodies)
    for status in sorted(_refusals(facts, method, handler, parameters)):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["security"] = [] if facts.public else [{"session": []}, {"bearer": []}]
    if facts.roles is not None:
        operation["x-onestop-roles"] = sorted(facts.roles)


def _describe(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Take summary and description from the docstring: its first sentence, and all of it but what is raised."""
    words = (handler.fn.__doc__ or "").split("Raises:")[0]
    words = re.sub(r"\s+", " ", words).strip()
    if words:
        operation["summary"] = re.split(r"(?<=[.;:])\s", words)[0].rstrip(".;:")
        operation["description"] = words


def _complete_replies(operation: dict[str, Any], handler: HTTPRouteHandler, bodies: _Bodies) -> None:
    replies = {status: reply for status, reply in operation["responses"].items() if int(status) < 400}
    schema = bodies.of(returned(handler))
    for status, reply in replies.items():
        reply["headers"] = {**_REPLY_HEADERS, **(reply.get("headers") or {})}
        if schema is not None and status == str(handler.status_code):
            reply["content"] = {"application/json": {"schema": schema}}
    for status, description in (handler.opt.get("replies") or {}).items():
        reply = {"description": description, "headers": dict(_REPLY_HEADERS)}
        if schema is not None and status not in (204, 304):
            reply["content"] = {"application/json": {"schema": schema}}
        replies.setdefault(str(status), reply)
    if handler.opt.get("edits") is not None or handler.opt.get("versioned"):
        for reply in replies.values():
            reply["headers"]["ETag"] = {"$ref": "#/components/headers/ETag"}
    if handler.opt.get("versioned"):
        replies["304"] = {"description": "The version you have is the newest", "headers": dict(_REPLY_HEADERS)}
    operation["responses"] = replies


def _refusals(facts: RouteFacts, method: str, handler: HTTPRouteHandler, parameters: list[dict[str, Any]]) -> set[int]:
    """Return every status of refusal an operation can answer with."""
    found = {400, 500, 503}
    if not facts.public:
        found |= {401, 403}
    if method in _CHANGES:
        found |= {403, 415}
    if any(parameter.get("in") == "path" for parameter in parameters):
        found.add(404)
    if facts.reads is not None:
        found |= {413, 422}
    if facts.idempotent:
        found |= {409, 422}
    if handler.opt.get("edits"):
        found |= {412, 428}
    return found | set(handler.opt.get("refusals") or ())


def _stream_operation(stream: EventStream) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", stream.template)
    steps = [step for step in stream.template.split("/") if step and not step.startswith(("{", "v1"))]
    refusals = (400, 401, 403, 404, 500, 503)
    return {
        "summary": stream.summary or "Follow events",
        "description": "Server-sent events. Send `Last-Event-ID` to go on where a stream ended; a comment comes "
        "every 15 s; the stream ends after 15 minutes and `retry` says when to come again.",
        "operationId": "stream" + "".join(step.capitalize() for step in steps),
        "tags": steps[:1],
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {
                "description": "Events, one after the other, until either side ends the stream",
                "headers": dict(_REPLY_HEADERS),
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **{str(s): {"$ref": f"#/components/responses/Problem{s}"} for s in refusals},
        },
        "security": [{"session": []}, {"bearer": []}],
        **({"x-onestop-roles": sorted(stream.roles)} if stream.roles is not None else {}),
    }


def _complete_components(document: Document, bodies: _Bodies) -> None:
    components = document.setdefault("components", {})
    # What parameters refer to stays Litestar's; of what both know, msgspec's is the exact one.
    components["schemas"] = {**components.get("schemas", {}), **bodies.components}
    used = _used_schemas(document["paths"], components["schemas"]) | {"Problem", "FieldProblem", "UpstreamFacts"}
    components["schemas"] = {name: s for name, s in sorted(components["schemas"].items()) if name in used}
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-onestop"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    text_header = {"schema": {"type": "string"}}
    components["headers"] = {
        "Request-Id": {"description": "Name of this request; give it when you ask for help", **text_header},
        "traceparent": {"description": "W3C trace context", **text_header},
        "ETag": {"description": 'Version of the resource: `"v7"`', **text_header},
    }
    components["parameters"] = {
        "Budget": _header_parameter(
            "Onestop-Budget-Ms",
            "Milliseconds the answer may take; lowered to the ceiling of the installation",
            False,
            {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        ),
        "IdempotencyKey": _header_parameter(
            "Idempotency-Key",
            "Your name for this request: repeated with the same key and body it answers the same and does nothing",
            True,
            {"type": "string", "pattern": "^[!#-~][!-~]{0,127}$", "examples": ["a2f0c1d4-0001"]},
        ),
        "IfMatch": _header_parameter(
            "If-Match", "The version you changed", True, {"type": "string", "pattern": '^"v[0-9]{1,18}"$'}
        ),
    }
    components["responses"] = {f"Problem{status}": _problem_reply(status) for status in sorted(set(STATUS.values()))}


def _header_parameter(name: str, description: str, required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "required": required, "schema": schema}


def _problem_reply(status: int) -> dict[str, Any]:
    kinds = sorted(kind.__name__ for kind, code in STATUS.items() if code == status)
    return {
        "description": " · ".join(kinds) + ": see /problems",
        "headers": dict(_REPLY_HEADERS),
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


def _refs(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        ref = tree.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/components/schemas/"):
            yield ref.rpartition("/")[2]
        for inner in tree.values():
            yield from _refs(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _refs(inner)


def _used_schemas(paths: Any, schemas: dict[str, Any]) -> set[str]:
    """Return the names that paths refer to, directly or through other schemas."""
    found: set[str] = set()
    waiting = set(_refs(paths))
    while waiting:
        name = waiting.pop()
        if name not in found and name in schemas:
            found.add(name)
            waiting |= set(_refs(schemas[name]))
    return found
