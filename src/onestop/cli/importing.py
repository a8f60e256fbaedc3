"""`onestop adapter import`: a department's document into a manifest, asking what the document does not tell."""

import asyncio
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from onestop.cli.place import json_option
from onestop.cli.speech import Exit, Halt, Speaker
from onestop.texts import text

if TYPE_CHECKING:
    from onestop.onboarding.importing.models import Imported, Question

_BESIDE = (".wsdl", ".xsd", ".xml", ".json", ".yaml", ".yml")
_MOST_LOOKED = 20_000  # entries of folders; a document may lie in somebody's home
_LARGE = 262_144  # bytes from which on progress is shown
_ROUNDS = 6  # an answer may raise further questions
_path = click.Path(path_type=Path, dir_okay=False)


@click.command("import")
@click.argument("source")
@click.option("--answers", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--write-answers", type=_path)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dry-run", is_flag=True)
@click.option("--force", is_flag=True)
@json_option
@click.pass_obj
def import_(
    speaker: Speaker,
    source: str,
    answers: Path | None,
    write_answers: Path | None,
    into: Path | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    reading = _Reading(speaker, source, quiet=as_json)
    told = _answers(answers)
    imported = reading.read(told)
    if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        imported = _converse(speaker, reading, told, imported)
    written: list[str] = []
    if imported.manifest_toml is not None and not dry_run:
        written = _write(imported, into or Path(os.environ.get("ONESTOP_ADAPTERS_DIR") or "adapters"), force=force)
    if write_answers is not None:
        write_answers.parent.mkdir(parents=True, exist_ok=True)
        write_answers.write_text(template(imported, told, speaker), "utf-8")
        written.append(str(write_answers))
    if as_json:
        speaker.show(msgspec.to_builtins(imported) | {"written": written, "dry_run": dry_run})
    else:
        _tell(speaker, imported, written, dry_run=dry_run)
    return Exit.OK if imported.manifest_toml is not None else Exit.FINDINGS


class _Reading:
    """One document, read as often as answers change."""

    def __init__(self, speaker: Speaker, source: str, *, quiet: bool) -> None:
        self.speaker = speaker
        self.data, self.name, self.companions = _load(source)
        self.shows = not quiet and len(self.data) > _LARGE and sys.stderr.isatty()

    def read(self, told: Mapping[str, Any]) -> "Imported":
        """Import with these answers.

        Raises:
            Halt: the document cannot be used.
        """
        from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable
        from onestop.onboarding.importing.service import import_document

        region = os.environ.get("ONESTOP_REGION")
        try:
            return import_document(self.data, self.name, told, self.companions, region=region, progress=self._progress)
        except DocumentUnusable as fault:
            said = text(f"field.import.{fault.reason}", self.speaker.lang, **fault.told)
            raise Halt("document_unusable", Exit.FAILED, reason=said) from fault
        except DocumentTooLarge as fault:
            raise Halt("document_large", Exit.FAILED, **fault.params) from fault

    def _progress(self, what: str, done: int, total: int) -> None:
        if self.shows:
            sys.stderr.write(f"\r{self.speaker.say(f'import.progress.{what}')} {done + 1}/{total} \x1b[K")
            sys.stderr.flush()
            if done + 1 >= total:
                sys.stderr.write("\r\x1b[K")


# --- what is read -------------------------------------------------------------------------------------------------


def _load(source: str) -> tuple[bytes, str, dict[str, bytes]]:
    """Return the document, its name and what lies beside it: from a file, a folder or an address."""
    from onestop.onboarding.importing.unpacking import MAX_BYTES, main_of

    if source.startswith(("http://", "https://")):
        return asyncio.run(_fetch(source)), source.partition("?")[0].rstrip("/").rpartition("/")[2] or "document", {}
    path = Path(source)
    if not path.exists():
        raise Halt("no_document", Exit.FAILED, path=source)
    if path.is_dir():
        from onestop.onboarding.importing.errors import DocumentUnusable

        files = _beside(path)
        try:
            chosen = main_of(files, source)
        except DocumentUnusable as fault:
            raise Halt("which_document", Exit.FAILED, path=source, names=", ".join(sorted(files)[:12])) from fault
        return files.pop(chosen), chosen, files
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    companions = {name: content for name, content in _beside(path.parent).items() if name != path.name}
    return data, path.name, companions


def _beside(folder: Path) -> dict[str, bytes]:
    """Return the documents of a folder by their path below it; nothing outside it, and not without bounds."""
    from onestop.onboarding.importing.unpacking import MAX_BYTES

    found: dict[str, bytes] = {}
    left = 4 * MAX_BYTES
    top = folder.resolve()
    for path in _nearest(folder):
        if path.suffix.lower() not in _BESIDE or not path.is_file() or not path.resolve().is_relative_to(top):
            continue
        size = path.stat().st_size
        if size <= min(left, MAX_BYTES) and len(found) < 300:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
            left -= size
    return found


def _nearest(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, those in it before those in its folders; not without bounds."""
    level, looked = [folder], 0
    while level and looked < _MOST_LOOKED:
        below: list[Path] = []
        for one in level:
            for path in sorted(one.iterdir()) if os.access(one, os.R_OK | os.X_OK) else ():
                looked += 1
                if path.is_file():
                    yield path
                elif path.is_dir() and not path.is_symlink() and path.name[0] != "." and path.name != "node_modules":
                    below.append(path)
        level = below


async def _fetch(address: str) -> bytes:
    """Fetch the one document that was named, through the door that every call to a department takes."""
    from onestop.onboarding.importing.unpacking import MAX_BYTES
    from onestop.outbound.addresses import AllowList
    from onestop.outbound.models import Limits
    from onestop.outbound.transport import open_client
    from onestop.settings import load

    limits = Limits(wire_bytes=MAX_BYTES, inflated_bytes=MAX_BYTES)
    allow = AllowList(load(os.environ).outbound_allow)
    async with open_client(allow=allow, timeout_s=10.0, limits=limits) as client:
        try:
            answer = await client.get(address, headers={"Accept": "application/json, application/yaml, text/xml, */*"})
        except Exception as fault:  # every way to fail of a library that may not be named here
            raise Halt("not_fetched", Exit.UNREACHABLE, address=address, reason=str(fault)) from fault
    if answer.status_code != 200:
        raise Halt("not_fetched", Exit.UNREACHABLE, address=address, reason=f"HTTP {answer.status_code}")
    return bytes(answer.content)


def _answers(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise Halt("answers_unreadable", Exit.CONFIGURATION, path=path, reason=str(fault)) from fault


# --- asking -------------------------------------------------------------------------------------------------------


def _converse(speaker: Speaker, reading: _Reading, told: dict[str, Any], imported: "Imported") -> "Imported":
    """Ask one question after the other until none is open; a default is taken with Enter."""
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        left = [q for q in imported.questions if q.problem is not None or (not q.answered and q.id not in asked)]
        if not left:
            break
        for question in left:
            asked.add(question.id)
            answer = _ask(speaker, question)
            if answer not in (None, ""):
                told.pop(question.id, None)
                told[question.id] = answer
        imported = reading.read(told)
    return imported


def _ask(speaker: Speaker, question: "Question") -> Any:
    said = question.question.zh if speaker.lang == "zh" else question.question.en
    why = question.why.zh if speaker.lang == "zh" else question.why.en
    speaker.line(speaker.paint("strong", said))
    speaker.line("  " + speaker.paint("dim", why))
    if question.problem is not None:
        speaker.line("  " + speaker.paint("bad", question.problem.zh if speaker.lang == "zh" else question.problem.en))
    if question.choices:
        speaker.line("  " + ", ".join(question.choices))
    if question.kind == "words":
        both = question.default if isinstance(question.default, Mapping) else {}
        spoken = {lang: _prompt(f"  {lang}", both.get(lang)) for lang in ("zh", "en")}
        return spoken if all(spoken.values()) else None
    default = ", ".join(question.default) if isinstance(question.default, list | tuple) else question.default
    answer = _prompt(" ", default)
    if question.kind == "choices":
        return [part.strip() for part in answer.split(",") if part.strip()]
    if question.kind == "number":
        try:
            return float(answer)
        except ValueError:
            return answer
    return answer


def _prompt(label: str, default: Any) -> str:
    shown = "" if default in (None, "") else str(default)
    return str(click.prompt(label, default=shown, show_default=bool(shown))).strip()


def template(imported: "Imported", told: Mapping[str, Any], speaker: Speaker) -> str:
    """Return an answers file: what was answered, what is open with an empty value, what has a default as a comment."""
    from onestop.onboarding.importing.interview import flat, is_open
    from onestop.onboarding.importing.toml import text as quoted
    from onestop.onboarding.importing.toml import value

    known = flat(told)
    parts = ["# " + speaker.say("import.template"), ""]
    for question in imported.questions:
        said, why = question.question, question.why
        parts.append("# " + (f"{said.zh} {why.zh}" if speaker.lang == "zh" else f"{said.en} {why.en}"))
        parts += _choices(question, imported)
        name = quoted(question.id) if "." in question.id else question.id
        if question.id in known:
            parts.append(f"{name} = {value(known[question.id])}")
        elif is_open(question):
            parts.append(f"{name} = " + ('{ zh = "", en = "" }' if question.kind == "words" else '""'))
        else:
            parts.append(f"# {name} = {value(question.default if question.default is not None else '')}")
        parts.append("")
    return "\n".join(parts)


def _choices(question: "Question", imported: "Imported") -> list[str]:
    """Return what may be answered; operations one a line, because nothing else tells those that were not proposed."""
    if question.kind != "choices":
        return [f"# {', '.join(question.choices)}"] if question.choices else []
    may = set(question.choices)
    return [f"#   {one.id} · {one.kind} · {one.method} {one.path}" for one in imported.operations if one.id in may]


# --- what is written and told ----------------------------------------------------------------------------------------


def _write(imported: "Imported", into: Path, *, force: bool) -> list[str]:
    folder = into / imported.manifest_id
    files = {"manifest.toml": imported.manifest_toml or "", "README.md": imported.readme or ""}
    files |= {f"examples/{name}": body for name, body in imported.examples.items()}
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise Halt("already_there", Exit.FAILED, path=folder / there[0])
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return [str(folder / name) for name in files]


def _tell(speaker: Speaker, imported: "Imported", written: list[str], *, dry_run: bool) -> None:
    taken = [operation for operation in imported.operations if operation.taken]
    speaker.tell(
        "import.read", title=imported.title, format=imported.format, count=len(imported.operations), taken=len(taken)
    )
    for operation in taken:
        mark = "" if operation.sure else " ?"
        speaker.line(f"  {operation.id} · {operation.kind}{mark} · {operation.method} {operation.path}")
    for finding in imported.findings:
        colour = {"note": "dim", "warning": "warn", "error": "bad"}[finding.level]
        says, fix = (finding.says.zh, finding.fix.zh) if speaker.lang == "zh" else (finding.says.en, finding.fix.en)
        line = f":{finding.spot.line}" if finding.spot.line else ""
        where = f"{finding.spot.file}{line} {finding.spot.pointer}".strip()
        speaker.line(f"{speaker.paint(colour, '·')} {where}\n    {says}\n    → {fix}")
    if imported.manifest_toml is None:
        _tell_open(speaker, imported)
        return
    if dry_run:
        speaker.tell("import.would_write", id=imported.manifest_id)
        speaker.line(imported.manifest_toml)
        return
    for path in written:
        speaker.line(path)
    speaker.tell("import.written", id=imported.manifest_id, secrets=", ".join(imported.environment))


def _tell_open(speaker: Speaker, imported: "Imported") -> None:
    speaker.tell("import.open", count=len(imported.open))
    for question in imported.questions:
        if question.id in imported.open:
            said = question.question.zh if speaker.lang == "zh" else question.question.en
            problem = question.problem.zh if speaker.lang == "zh" and question.problem else ""
            problem = question.problem.en if question.problem and speaker.lang == "en" else problem
            speaker.line(f"  {question.id}: {said} {problem}".rstrip())
