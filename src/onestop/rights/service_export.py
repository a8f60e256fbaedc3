"""Verbs of exports: ask for everything that is held of oneself, make it in the background, sign it, hand it over."""

import base64
from typing import Any, Final

import msgspec
import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import service as cases
from onestop.cases.office import Office
from onestop.certificates import service as certificates
from onestop.certificates.errors import CertificateUnknown
from onestop.http.idempotency import Keyed, Reply, once
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.overview.service_challenges import words_context
from onestop.rights import store_export as store
from onestop.rights.errors import ExportNotReady, ExportUnknown
from onestop.rights.models import ExportFile, ExportOperation
from onestop.rights.service import check_own
from onestop.texts import Language

log = structlog.get_logger(__name__)

_TYPE: Final = "export+jws"
_PAGE: Final = 200
_json = msgspec.json.Encoder()
_file_in = msgspec.json.Decoder(ExportFile)


async def ask(office: Office, session: Session, keyed: Keyed, lang: Language, trace_id: str) -> Reply:
    """Ask for an export of everything that is held of oneself; 202 with the operation, the same while one is made.

    Raises:
        LevelNeeded: the session is somebody's for another, or of a lower level than 2.
    """
    check_own(session)

    async def write(db: Any) -> Reply:
        row = await store.ask(db, office.region, new_id("exp"), session.subject_id, lang)
        assert row is not None
        await _audit(office, db, session.actor_id, session.subject_id, row.id, "export.asked", trace_id)
        return Reply(
            status=202,
            body=_json.encode(_operation(row)),
            made_id=row.id,
            headers={"location": f"/v1/me/exports/{row.id}"},
        )

    return await once(office.pool, office.keys, keyed, write)


async def look(office: Office, session: Session, id_: str) -> ExportOperation:
    """Return how far an export is.

    Raises:
        ExportUnknown: none of that id, or not any more, or another's.
    """
    row = await store.own(office.pool, office.region, id_, session.subject_id)
    if row is None:
        raise ExportUnknown(id_)
    return _operation(row)


async def fetch(office: Office, session: Session, id_: str, trace_id: str) -> ExportFile:
    """Hand over the file; that it was fetched is on record first.

    Raises:
        LevelNeeded: as `ask`.
        ExportUnknown: as `look`.
        ExportNotReady: it is still being made, or failed.
    """
    check_own(session)
    row = await store.own(office.pool, office.region, id_, session.subject_id)
    if row is None:
        raise ExportUnknown(id_)
    if row.file is None:
        raise ExportNotReady(id_, state=row.state)
    await _audit(office, office.pool, session.actor_id, session.subject_id, id_, "export.fetched", trace_id)
    return _file_in.decode(office.keys.unseal(row.file, _context(id_)))


async def work(office: Office) -> int:
    """Make the exports that wait, one after the other; return how many. One that cannot be made is `failed`."""
    made = 0
    while (row := await store.claim(office.pool, office.region)) is not None:
        try:
            file = await _made(office, row)
        except Exception as fault:
            log.exception("export_failed", export=row.id, fault=type(fault).__name__)
            await store.end(office.pool, office.region, row.id, "failed", None)
            continue
        sealed = office.keys.seal(_json.encode(file), _context(row.id))
        await store.end(office.pool, office.region, row.id, "succeeded", sealed)
        made += 1
    return made


async def _made(office: Office, row: store.ExportRow) -> ExportFile:
    told = msgspec.to_builtins(await _everything(office, row))
    body, signature = office.issuer.sign(told, _TYPE)
    payload = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return ExportFile(id=row.id, export=told, payload=payload, signature=signature)


async def _everything(office: Office, row: store.ExportRow) -> dict[str, Any]:
    lang: Language = "en" if row.lang == "en" else "zh"
    person = await office.people(row.subject)
    session = _own(row.subject)
    found: dict[str, Any] = {
        "object": "export",
        "region": office.region,
        "made_at": clock.now().isoformat(timespec="seconds"),
        "person": person,
        "cases": await _cases(office, session, lang),
        "data_uses": await _uses(office, row.subject),
        "challenges": await _challenges(office, row.subject),
    }
    for table in store.PLAIN:
        found[table] = await store.plain(office.pool, office.region, row.subject, table)
    found["retention"] = {
        one.code: {"days": one.days, "law": one.law.article.say(lang)} for one in office.basis.purposes.classes.values()
    }
    return found


async def _cases(office: Office, session: Session, lang: Language) -> list[dict[str, Any]]:
    """Return every case whole, with its certificate where it has one."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await cases.own_cases(office, session, lang, before=cursor, limit=_PAGE)
        for line in page.data:
            view = await cases.show(office, await cases.own_case(office, session, line.id), lang)
            found.append({"case": view, "certificate": await _certificate(office, session, line.id)})
        cursor = page.next_cursor
        if cursor is None:
            return found


async def _certificate(office: Office, session: Session, case_id: str) -> Any:
    try:
        return await certificates.show(
            office.pool, office.issuer, office.basis, office.region, case_id, session.subject_id
        )
    except CertificateUnknown:
        return None


async def _uses(office: Office, subject: str) -> list[Any]:
    found: list[Any] = []
    before: str | None = None
    while True:
        page = await audit.own_data_uses(office.pool, office.region, subject, before=before, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found
        before = page[-1].id


async def _challenges(office: Office, subject: str) -> list[dict[str, Any]]:
    rows = await store.challenges(office.pool, office.region, subject)
    for row in rows:
        for word in ("reason", "answer"):
            if row[word] is not None:
                row[word] = office.keys.unseal(row[word], words_context(row["id"], word)).decode()
    return rows


def _own(subject: str) -> Session:
    """Return a session that stands for the person themselves, for verbs that show a person their own."""
    return Session(
        id="-",
        subject_id=subject,
        actor_id=subject,
        role="citizen",
        department=None,
        level=2,
        kind="bearer",
        expires_at=clock.real_now(),
        principal=f"{subject}/citizen",
    )


def _operation(row: store.ExportRow) -> ExportOperation:
    here = f"/v1/me/exports/{row.id}"
    links = {"self": here} | ({"file": f"{here}/file"} if row.state == "succeeded" else {})
    return ExportOperation(id=row.id, state=row.state, asked_at=row.asked_at, done_at=row.done_at, links=links)


async def _audit(office: Office, db: Any, actor: str, subject: str, id_: str, action: str, trace_id: str) -> None:
    await audit.record(db, office.region, actor=actor, action=action, subject=subject, object=id_, trace_id=trace_id)


def _context(id_: str) -> str:
    return f"exports.file:{id_}"
