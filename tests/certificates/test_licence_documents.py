"""Documents: readable by others' programs, sealed so that others' verifiers say so, and for one purpose only."""

import asyncio
import io
import re
import shutil
import subprocess
import threading

import pytest
from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from onestop.certificates import document, service_copies, service_types, store_licences, store_uses
from onestop.certificates.press import Press
from onestop.errors import Unavailable
from onestop.http.errors import BudgetSpent
from tests.certificates.conftest import MARRIAGE

pytestmark = pytest.mark.anyio
WISH = {"purpose": "办理住房贷款", "taker": "云溪银行枫林支行"}
poppler = pytest.mark.skipif(
    not (shutil.which("pdfsig") and shutil.which("pdftotext")), reason="apt-get install poppler-utils"
)


def run(tool, data, tmp_path, *options):
    """Return what one of poppler's programs says of a document."""
    file = tmp_path / "document.pdf"
    file.write_bytes(data)
    done = subprocess.run([tool, *options, str(file), *(["-"] if tool == "pdftotext" else [])], capture_output=True)
    return done.stdout.decode()


async def copy(room, licence, who="lin", lang="zh", **changes):
    return await room.post(who, f"/v1/me/licences/{licence['id']}/copies", WISH | changes, lang=lang)


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """Load the libraries before any request waits for them."""
    import fpdf  # noqa: F401

    document.lacking("")


@pytest.fixture
async def licence(room):
    return await room.marriage()


# ---- refusals


async def test_documents_and_copies_are_the_holders_and_nobody_elses(room, licence):
    made = (await copy(room, licence)).json()
    assert (await copy(room, licence, who="chen")).json()["code"] == "licence.unknown"
    for path, code in (
        (f"licences/{licence['id']}/document", "licence.unknown"),
        (f"licences/{licence['id']}/copies", "licence.unknown"),
        (f"licence-copies/{made['id']}/document", "licence.copy_unknown"),
    ):
        refused = await room.get("chen", f"/v1/me/{path}")
        assert (refused.status_code, refused.json()["code"]) == (404, code)
        assert (await room.get("", f"/v1/me/{path}")).status_code == 401
    assert [one["id"] for one in (await room.get("lin", f"/v1/me/licences/{licence['id']}/copies")).json()["data"]] == [
        made["id"]
    ]


async def test_a_copy_needs_words_that_can_be_printed_and_an_end(room, licence):
    refused = await copy(room, licence, purpose="办理 \U0001f600")
    assert (refused.status_code, refused.json()["code"]) == (422, "licence.unprintable")
    assert "U+1F600" in refused.json()["detail"]
    for wrong in (
        {"purpose": ""},
        {"taker": "  "},
        {"purpose": "x" * 101},
        {"days": 0},
        {"days": 91},
        {"taker": "a\nb"},
    ):
        assert (await copy(room, licence, **wrong)).status_code == 422, wrong


async def test_no_copy_is_made_or_given_of_what_ended_and_its_code_says_so(room, licence, office):
    made = (await copy(room, licence)).json()
    row = await store_uses.copy(room.pool, office.region, made["id"])
    of = await store_licences.by_id(room.pool, office.region, licence["id"])
    token = service_copies._token(office.licences, row, of)
    good = await room.post("", "/v1/licence-checks", {"presentation": token})
    assert (good.json()["kind"], good.json()["purpose"], good.json()["taker"]) == ("copy", *WISH.values())
    assert "林晓舟" not in good.text, "what the paper says is compared with the paper"
    await room.pool.execute("UPDATE licence_copies SET expires_on = '2020-01-01' WHERE id = $1", made["id"])
    old = await room.post("", "/v1/licence-checks", {"presentation": token})
    assert old.json()["code"] == "licence.show_expired"
    await room.pool.execute("UPDATE licence_copies SET expires_on = '2099-01-01' WHERE id = $1", made["id"])
    await room.change("minzheng", "revoke", "cancelled", identifier=licence["identifier"])
    ended = await room.post("", "/v1/licence-checks", {"presentation": token})
    assert ended.json()["code"] == "licence.revoked"
    assert (await copy(room, licence)).json()["code"] == "licence.revoked"
    assert (await room.get("lin", made["links"]["document"])).json()["code"] == "licence.revoked"
    forged = office.issuer.token({"jti": "lcp_none", "licence": licence["identifier"]}, "licence-copy+jws")
    assert (await room.post("", "/v1/licence-checks", {"presentation": forged})).json()["code"] == (
        "licence.show_not_genuine"
    )


# ---- the file


@poppler
async def test_a_copy_says_over_the_page_what_it_is_for_and_others_read_and_verify_it(room, licence, tmp_path):
    made = (await copy(room, licence)).json()
    got = await room.get("lin", made["links"]["document"], lang="zh")
    assert (got.status_code, got.headers["content-type"]) == (200, "application/pdf")
    assert got.headers["cache-control"] == "private, no-store"
    said = run("pdftotext", got.content, tmp_path, "-raw")
    only = f"仅用于{WISH['purpose']}，接收方：{WISH['taker']}"
    assert re.sub(r"\s", "", said).count(only) == 4, "over the whole page"
    for told in ("结婚证", "林晓舟", MARRIAGE["certificate_no"], "9901********0351", licence["identifier"][:40]):
        assert told in said
    assert MARRIAGE["spouse_id"] not in said
    seal = run("pdfsig", got.content, tmp_path)
    assert "Signature is Valid" in seal
    assert "Total document signed" in seal
    assert "ETSI.CAdES.detached" in seal
    fonts = run("pdffonts", got.content, tmp_path).splitlines()[2:]
    assert [line.split()[-5:-2] for line in fonts] == [["yes", "yes", "yes"]], "embedded, a subset, with its text"


async def test_a_changed_document_fails_and_the_published_certificate_proves_the_whole_one(room, licence, tmp_path):
    await room.change("minzheng", "revoke", "cancelled", identifier=licence["identifier"])
    got = (await room.get("lin", f"/v1/me/licences/{licence['id']}/document")).content
    if shutil.which("pdftotext"):
        said = run("pdftotext", got, tmp_path, "-raw")
        assert "Marriage certificate" in said
        assert said.count("No longer valid") == 5, "four times over the page, once as its state"
    published = (await room.get("", "/v1/document-certificate")).text
    assert published == room.office.licences.seal.pem()
    trusted = ValidationContext(trust_roots=[x509.Certificate.load(pem.unarmor(published.encode())[2])])

    def verdict(data):
        [signature] = PdfFileReader(io.BytesIO(data)).embedded_signatures
        return signature, trusted

    def validated(data):
        signature, context = verdict(data)
        return validate_pdf_signature(signature, context)

    whole = await asyncio.to_thread(validated, got)
    assert (whole.valid, whole.intact, whole.trusted, whole.coverage.name) == (True, True, True, "ENTIRE_FILE")
    at = got.index(b"/CreationDate") + 20
    changed = await asyncio.to_thread(validated, got[:at] + bytes([got[at] ^ 1]) + got[at + 1 :])
    assert not changed.intact


def test_the_glyphs_of_the_font_are_known_and_every_shipped_type_can_be_printed():
    words = "".join(path.read_text("utf-8") for path in service_types.DATA.glob("*.toml"))
    assert document.lacking(words.replace("\n", "")) == ""
    assert document.lacking("a\U0001f600") == "U+1F600"


async def test_documents_wait_for_each_other_and_too_many_are_sent_away():
    press, go, loop = Press(), threading.Event(), asyncio.get_running_loop()

    def work():
        go.wait(60)
        return b"x"

    tasks = [asyncio.ensure_future(press.make(work, loop.time() + 60)) for _ in range(7)]
    late = asyncio.ensure_future(press.make(work, loop.time() - 1))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await press.make(work, loop.time() + 60)
    with pytest.raises(BudgetSpent):
        await late
    go.set()
    assert await asyncio.gather(*tasks) == [b"x"] * 7
    assert await press.make(work, loop.time() + 60) == b"x", "whoever left is counted no longer"
    press.close()
