"""One document in, findings, operations, questions and, when all is answered, a manifest out. Pure: bytes to values."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from onestop.gateway.manifest import BadManifest, Manifest, parse
from onestop.gateway.mapping.language import expression, tree
from onestop.gateway.mapping.templates import template
from onestop.onboarding.importing import answering, assembling, choosing, examples, places, readable
from onestop.onboarding.importing.authentication import Authentication, authentication
from onestop.onboarding.importing.drafting import Drafting, title_of
from onestop.onboarding.importing.drafts import Draft
from onestop.onboarding.importing.foreign import check_bytes, check_text
from onestop.onboarding.importing.interview import Interview, is_open
from onestop.onboarding.importing.models import Description, Finding, FoundOperation, Imported, Question, Spot
from onestop.onboarding.importing.notes import Notes, words
from onestop.onboarding.importing.openapi import OpenApi
from onestop.onboarding.importing.pace import limits, trace_headers
from onestop.onboarding.importing.reading_xml import read as read_xml
from onestop.onboarding.importing.rules_names import snake
from onestop.onboarding.importing.schemas import loosened
from onestop.onboarding.importing.source import At, Source, read_value
from onestop.onboarding.importing.unpacking import to_text, unpack
from onestop.onboarding.importing.wsdl import Wsdl

Progress = Callable[[str, int, int], None]  # what is done now, how many are done, of how many
_USCC: Final = r"[0-9A-HJ-NPQRTUWXY]{18}"
_NAME: Final = r"[a-z][a-z0-9_]{1,39}"
_NETWORKS: Final = ("extranet", "intranet", "private")


def import_document(
    data: bytes,
    name: str,
    answers: Mapping[str, Any],
    companions: Mapping[str, bytes] | None = None,
    *,
    region: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Read an OpenAPI document or a WSDL; `companions` are the files beside it by their path, `region` a default.

    Nothing is fetched and nothing is written. The same arguments give the same result, byte for byte.

    Raises:
        DocumentUnusable: it cannot be read at all; says why, in which file and on which line.
        DocumentTooLarge: more bytes than an import takes.
    """
    return _Import(data, name, answers, companions or {}, region, progress or (lambda *_: None)).run()


class _Import:
    def __init__(
        self,
        data: bytes,
        name: str,
        answers: Mapping[str, Any],
        companions: Mapping[str, bytes],
        region: str | None,
        progress: Progress,
    ) -> None:
        self.notes = Notes()
        self.interview = Interview(answers, self.notes)
        self.region, self.progress = region, progress
        self.progress("read", 0, 1)
        content, self.main, beside = unpack(data, name, companions)
        self.digest = hashlib.sha256(content).hexdigest()[:16]
        check_bytes(content, self.main)
        text = to_text(content, self.main, self.notes)
        check_text(text, self.main)
        self.source: Source | None = None
        self.open_api: OpenApi | None = None
        if text.lstrip("\ufeff \t\n").startswith("<"):
            self.description: Description = Wsdl(read_xml(text, self.main), self.main, beside, self.notes).describe()
        else:
            root, lines = read_value(text, self.main, self.notes)
            self.source = Source(self.main, text, root, beside, self.notes)
            if lines is not None:
                self.source.keep_lines(self.main, lines)
            self.open_api = OpenApi(self.source)
            self.description = self.open_api.describe()

    def spot(self, pointer: str) -> Spot:
        if self.source is None:
            return Spot(pointer=pointer, file=self.main)
        return self.source.spot(At((self.main, pointer)))

    def run(self) -> Imported:
        drafts = choosing.drafts_of(self.description.operations)
        self._look(sorted(drafts, key=choosing.worth, reverse=True)[: choosing.LOOKED_AT], whole=False)
        choosing.relate_by_members(drafts)
        taken = self._choose(drafts)
        places.settle(taken, self.description, self.notes, self.spot)
        self._look(taken, whole=True)
        id_ = self._id()
        found = authentication(self.description, taken, self.interview, self.notes, self.spot)
        drafting = Drafting(
            taken, drafts, self.interview, self.notes, self.spot, found.spoken_for, self.description.about
        )
        signed = {name.lower() for name in found.auth.get("headers", {})}
        named = {name: recipe for name, recipe in trace_headers(taken).items() if name.lower() not in signed}
        if named:
            found.always.setdefault("headers", {}).update(named)
            found.spoken_for |= {f"header:{name.lower()}" for name in named}
            self.notes.add("trace_header", Spot(file=self.main), "note", names=", ".join(named))
        for count, draft in enumerate(taken):
            self.progress("operation", count, len(taken))
            drafting.draft(draft)
        drafting.join()
        found.secrets |= drafting.secrets | drafting.answering.secrets
        head, department = self._department(id_)
        drafting.grounds()
        pace = limits(self.description.about, taken, self.interview, self.notes, self.spot)
        self.interview.close()
        questions = self.interview.all()
        left = tuple(question.id for question in questions if is_open(question))
        probe = next((d.described.path for d in drafts if d.kind == "probe" and "{" not in d.described.path), None)
        toml_text = None
        if not left:
            toml_text = self._written(head, department, found, drafting, taken, probe, pace)
        return self._imported(id_, department, found, drafts, taken, questions, left, toml_text)

    def _look(self, drafts: list[Draft], *, whole: bool) -> None:
        """Read the bodies of these operations: enough to choose among them, or whole."""
        reader = self.open_api
        for count, draft in enumerate(drafts):
            if reader is not None and draft.described.raw is not None:
                self.progress("look", count, len(drafts))
                (reader.detail if whole else reader.glance)(draft.described)

    def _choose(self, drafts: list[Draft]) -> list[Draft]:
        able = [draft for draft in drafts if draft.kind != "probe"] or drafts
        near = places.neighbours(able, self.description)
        if len(near) < len(able):
            main, others = places.server_of(near[0], self.description), len(able) - len(near)
            self.notes.add("server_several", Spot(file=self.main), "note", main=main or "—", others=others)
        told = self.interview.ask(
            "operations",
            "choices",
            default=choosing.propose(near),
            choices=tuple(draft.id for draft in able),
            count=len(able),
        )
        for draft in able:
            draft.taken = draft.id in told
        answering.take_asked(able, self.interview)
        return [draft for draft in able if draft.taken]

    def _id(self) -> str:
        title, server = self.description.title, self.description.servers[0] if self.description.servers else ""
        host = server.partition("//")[2].partition("/")[0].partition(":")[0]
        host = "" if host.replace(".", "").isdigit() else host
        parts = [part for part in host.split(".") if part not in ("www", "api", "com", "org", "gov", "cn", "net")]
        stem = self.main.rpartition("/")[2].partition(".")[0]
        default = snake(title, "") or snake(parts[0] if parts else "", "") or snake(stem, "") or "department"
        words_ = [
            word for word in default.split("_") if word not in ("api", "service", "openapi", "the", "rest", "v1", "v2")
        ]
        default = "_".join(words_[:3]) if words_ else default
        default = default if len(default) > 1 and default[0].isalpha() else f"dept_{default}"
        return str(self.interview.ask("id", "text", default=default[:40], pattern=_NAME))

    def _department(self, id_: str) -> tuple[dict[str, Any], dict[str, Any]]:
        ask = self.interview.ask
        title = self.description.title or self.main.rpartition("/")[2]
        region = ask("region", "text", default=self.region, required=True, pattern=r"\d{6}")
        department = {
            "code": ask("department.code", "text", required=True, pattern=_USCC),
            "name": ask("department.name", "words", required=True),
            "officer": ask("department.officer", "words", required=True),
            "contact": ask("department.contact", "text", required=True, default=self.description.contact or None),
        }
        system = ask("system.name", "words", default={"zh": title[:80], "en": title[:80]})
        identity = ask("system.id", "text", default=f"sys-{id_.replace('_', '-')}", pattern=r"[A-Za-z0-9._-]{1,80}")
        department["system"] = {"id": identity, **system}
        department["network"] = ask("department.network", "choice", default="extranet", choices=_NETWORKS)
        return {"manifest": 1, "id": id_, "version": "1.0.0", "region": region}, department

    def _written(
        self,
        head: dict[str, Any],
        department: dict[str, Any],
        found: Authentication,
        drafting: Drafting,
        taken: list[Draft],
        probe: str | None,
        pace: tuple[dict[str, Any], str],
    ) -> str | None:
        for draft in taken:
            draft.table["examples"] = examples.recorded(draft)
            self._agree(draft)
        callback = drafting.answering.callback

        def assembled() -> str:
            origin = self._origin()
            return assembling.manifest(head, department, found, drafting.codes, taken, probe, origin, pace, callback)

        text = assembled()
        try:
            manifest = parse(text.encode("utf-8"), f"{head['id']}/manifest.toml")
            compile_all(manifest)
        except BadManifest as fault:
            self.notes.add("manifest_unusable", Spot(file="manifest.toml"), "error", fault=str(fault))
            return None
        if self._mended(manifest, taken):
            text = assembled()
        return text

    def _mended(self, manifest: Manifest, taken: list[Draft]) -> bool:
        """Put an answer that is made up in the place of an example that the manifest cannot read; tell whether any."""
        mended = False
        for draft in taken:
            unread = readable.put_right(manifest, draft)
            if unread:
                mended = True
                spot = self.spot(draft.described.pointer)
                self.notes.add("example_unreadable", spot, "warning", operation=draft.id, reason=unread)
        return mended

    def _agree(self, draft: Draft) -> None:
        """Let the schema of a reply say nothing that the document's own example contradicts."""
        shown = next((one["body"] for one in draft.table["examples"] if one["name"] == "ok"), "")
        if draft.table["response_codec"] != "json" or not shown or not draft.table.get("schema"):
            return
        places = loosened(draft.table["schema"], json.loads(shown))
        if places:
            spot, named = self.spot(draft.described.pointer), ", ".join(places[:6])
            self.notes.add("example_contradicts", spot, "warning", operation=draft.id, places=named)

    def _origin(self) -> str:
        told = self.description
        title = f' "{told.title}"' if told.title else ""
        version = f" {told.version}" if told.version else ""
        name = self.main.rpartition("/")[2]
        return f"{_plain(name)} ({told.format}{_plain(title)}{_plain(version)}, SHA-256 {self.digest}…)"

    def _imported(
        self,
        id_: str,
        department: dict[str, Any],
        found: Authentication,
        drafts: list[Draft],
        taken: list[Draft],
        questions: tuple[Question, ...],
        left: tuple[str, ...],
        toml_text: str | None,
    ) -> Imported:
        recorded: dict[str, str] = {}
        readme = None
        if toml_text is not None:
            readme = assembling.readme(id_, department["name"], self.description, found, taken, self._origin())
            for draft in taken:
                for example in draft.table["examples"]:
                    if not example["body"]:
                        continue
                    suffix = {"<": "xml", "{": "json", "[": "json"}.get(example["body"][0], "txt")
                    name = f"{draft.id}.{example['name']}.{example['status']}.response.{suffix}"
                    recorded[name] = example["body"]
        url = self.description.servers[0] if self.description.servers else ""
        return Imported(
            format=self.description.format,
            title=self.description.title,
            findings=tuple(f for f in self.notes.all() if not _beside(f, drafts)),
            operations=tuple(_found(draft) for draft in drafts),
            questions=questions,
            open=left,
            manifest_id=id_,
            manifest_toml=toml_text,
            readme=readme,
            examples=recorded,
            environment={"url": url} | found.secrets,
        )


def _beside(finding: Finding, drafts: list[Draft]) -> bool:
    """Tell whether a finding is about an operation that is not taken, and so nobody's concern."""
    pointer = finding.spot.pointer
    return any(
        not draft.taken and (pointer == draft.described.pointer or pointer.startswith(draft.described.pointer + "/"))
        for draft in drafts
    )


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split(" ")) if text else text


def _found(draft: Draft) -> FoundOperation:
    return FoundOperation(
        id=draft.id,
        kind=draft.kind,
        sure=draft.guess.sure,
        method=draft.described.method,
        path=draft.described.path,
        title=title_of(draft),
        about=draft.described.pointer,
        taken=draft.taken,
        why=words(f"why_kind.{draft.guess.why if draft.partner is None else 'partner'}", other=draft.partner or ""),
        personal=tuple(draft.personal),
    )


def compile_all(manifest: Manifest) -> None:
    """Compile every expression of a manifest.

    Raises:
        BadManifest: one cannot be compiled.
    """
    codes = manifest.codes
    for operation in manifest.operations:
        request, reply = operation.request, operation.reply
        for source in (request.path, request.query, request.headers, request.body or {}, reply.fields):
            tree(source, codes)
        for text in (request.template, request.header_template):
            template(text or "", codes)
        singles = (reply.found, reply.as_of, reply.subject, reply.key, reply.reference, reply.reason)
        for told in (*singles, *(case.path for case in operation.errors), *(case.reason for case in operation.errors)):
            if told is not None:
                expression(told, codes)
        if reply.outcome is not None:
            expression(reply.outcome.path, codes)
