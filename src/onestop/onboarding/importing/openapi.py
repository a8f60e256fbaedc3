"""OpenAPI 2.0, 3.0 and 3.1 as departments write them, into a `Description`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.foreign import refuse
from onestop.onboarding.importing.models import Described, Description, Format
from onestop.onboarding.importing.openapi_bodies import METHODS
from onestop.onboarding.importing.openapi_calls import Calls
from onestop.onboarding.importing.openapi_security import read_schemes, read_security
from onestop.onboarding.importing.openapi_texts import limits_told, one_line, sentence, table
from onestop.onboarding.importing.source import At, Source

_UNUSED: Final = ("head", "options", "trace", "query", "connect")
_MOST_OPERATIONS: Final = 2000
_LONGEST_ABOUT: Final = 20_000
_GLANCED: Final = 120  # members of a body
_GLANCED_DEEP: Final = 3  # else the first of its members could use all of it
_OTHERS: Final = ("asyncapi", "swaggerVersion", "raml", "arazzo")


class OpenApi:
    """The reader of one document."""

    def __init__(self, source: Source) -> None:
        self.source = source
        root = source.root
        if not isinstance(root, dict):
            raise DocumentUnusable("not_a_document", file=source.main)
        self.root: dict[str, Any] = root
        self.format = self._format()
        self.old = self.format == "openapi-2.0"
        self._calls = Calls(source, self.root, old=self.old)

    def describe(self) -> Description:
        """Return everything but the bodies.

        Raises:
            DocumentUnusable: no operation can be found.
        """
        info = table(self.root.get("info"))
        if not info.get("title"):
            self.source.note("info_missing", At((self.source.main, "")))
        contact = table(info.get("contact"))
        operations = list(self._operations())
        webhooks = isinstance(self.root.get("webhooks"), dict) and bool(self.root["webhooks"])
        if not operations:
            raise DocumentUnusable("only_webhooks" if webhooks else "no_operations", file=self.source.main)
        if webhooks:
            self.source.note("webhooks", At((self.source.main, "/webhooks")))
        schemes = read_schemes(self.source, self.root, old=self.old)
        tags = self.root.get("tags")
        said = [info, *(tag for tag in tags if isinstance(tag, dict))] if isinstance(tags, list) else [info]
        about = [one_line(one.get("description")) for one in said] + [scheme.about for scheme in schemes.values()]
        about += [limits_told(self.root), limits_told(info)]
        return Description(
            format=self.format,
            title=one_line(info.get("title"))[:80],
            version=one_line(info.get("version"))[:40],
            contact=one_line(contact.get("email") or contact.get("url") or contact.get("name"))[:120],
            servers=self._servers(),
            schemes=schemes,
            security=read_security(self.root.get("security")) or (),
            operations=operations,
            about=" ".join(about)[:_LONGEST_ABOUT],
        )

    def _format(self) -> Format:
        if any(word in self.root for word in _OTHERS):
            raise refuse(self.root, self.source.main)
        told = str(self.root.get("openapi", self.root.get("swagger", "")))
        if "swagger" in self.root and told.startswith("2"):
            return "openapi-2.0"
        if told.startswith("3.0") or told == "3":
            return "openapi-3.0"
        if told.startswith("3."):
            if not told.startswith("3.1"):
                self.source.note("version_newer", At((self.source.main, "/openapi")), version=told)
            return "openapi-3.1"
        if not isinstance(self.root.get("paths"), dict):
            raise refuse(self.root, self.source.main)
        self.source.note("version_missing", At((self.source.main, "")), version=told)
        return "openapi-2.0" if {"definitions", "basePath", "host"} & self.root.keys() else "openapi-3.0"

    def _servers(self) -> list[str]:
        if self.old:
            host, base = self.root.get("host"), self.root.get("basePath")
            schemes = self.root.get("schemes")
            scheme = schemes[0] if isinstance(schemes, list) and schemes else "https"
            path = base if isinstance(base, str) and base != "/" else ""
            return [f"{scheme}://{host}{path}"] if isinstance(host, str) else ([path] if path else [])
        return self._addresses(self.root)

    def _addresses(self, owner: Mapping[str, Any]) -> list[str]:
        """Return the addresses that a document, a path or an operation names."""
        told = owner.get("servers")
        servers = [s for s in told if isinstance(s, dict)] if isinstance(told, list) else []
        return [
            _filled(server["url"], table(server.get("variables")))
            for server in servers[:10]
            if isinstance(server.get("url"), str)
        ]

    # --- operations -----------------------------------------------------------------------------------------------

    def _operations(self) -> Iterator[Described]:
        paths = self.root.get("paths")
        top = At((self.source.main, "/paths"))
        if not isinstance(paths, dict):
            return
        count = 0
        for path, told in paths.items():
            if not isinstance(path, str) or path.startswith("x-"):
                continue
            item, at, _ = self.source.follow(told, top / path)
            if not isinstance(item, dict):
                self.source.note("path_odd", top / path, "warning", path=path)
                continue
            for method in item:
                if method in _UNUSED:
                    self.source.note("method_unused", at / method, "note", method=method.upper())
                if method not in METHODS:
                    continue
                operation = item[method]
                if not isinstance(operation, dict):
                    self.source.note("path_odd", at / method, "warning", path=path)
                    continue
                count += 1
                if count > _MOST_OPERATIONS:
                    self.source.note("too_many_operations", at, "warning", most=_MOST_OPERATIONS)
                    return
                yield self._operation(path, method, item, operation, at)

    def _operation(self, path: str, method: str, item: dict[str, Any], operation: dict[str, Any], at: At) -> Described:
        here = at / method
        clean = self._path(path, here)
        name = operation.get("operationId")
        if not isinstance(name, str) or not name.strip():
            name = f"{method} {path}"
        text = operation.get("summary") or operation.get("description") or item.get("summary") or ""
        tags = operation.get("tags")
        return Described(
            pointer=here.pointer,
            method=method.upper(),
            path=clean,
            name=name,
            text=sentence(one_line(text)),
            about=one_line(operation.get("description"))[:4000],
            extensions=limits_told(operation),
            tags=tuple(str(tag) for tag in tags[:5]) if isinstance(tags, list) else (),
            deprecated=operation.get("deprecated") is True,
            security=read_security(operation["security"]) if "security" in operation else None,
            raw=(item, operation, here),
            server=next(iter(self._addresses(operation) or self._addresses(item)), ""),
        )

    def _path(self, path: str, at: At) -> str:
        # As RFC 6570 writes them: {.format}, {id*} and {+path} are places, {?page,size} is what the parameters say.
        path = re.sub(r"\{[?&;#][^{}]*\}", "", path)
        path = re.sub(r"\{([./+]?)([^{}*:]+)[^{}]*\}", lambda m: m[1].replace("+", "") + "{" + m[2] + "}", path)
        clean, _, query = path.partition("?")
        if query:
            self.source.note("path_query", at, "warning", path=path)
        if not clean.startswith("/"):
            self.source.note("path_no_slash", at, "note", path=path)
            clean = "/" + clean
        return re.sub(r"[\s#]+", "-", clean)

    # --- what one operation takes and gives -----------------------------------------------------------------------

    def glance(self, described: Described) -> None:
        """Read what choosing among operations needs: the first members of each body. `detail` reads the rest.

        Whole bodies of many operations would cost seconds and hundreds of megabytes, and most are not taken.
        """
        self._calls.read(described, _GLANCED, _GLANCED_DEEP)

    def detail(self, described: Described) -> None:
        """Read parameters, bodies and answers of one operation into it, whole."""
        described.parameters, described.bodies, described.answers, described.callbacks = [], [], [], []
        self._calls.read(described)


def _filled(url: str, variables: dict[str, Any]) -> str:
    """Put the defaults of a server's variables into its address."""

    def default(match: re.Match[str]) -> str:
        told = variables.get(match[1])
        value = told.get("default") if isinstance(told, dict) else None
        return match[0] if value is None else str(value)

    return re.sub(r"\{([^{}]+)\}", default, url)[:300]
