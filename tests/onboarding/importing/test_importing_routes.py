"""`POST /v1/adapter-imports`: who may, what it answers, and that it cannot be kept busy."""

import asyncio
import base64
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from onestop.db import Pool
from onestop.gateway.manifest import parse
from onestop.http.app_parts import build
from onestop.onboarding.importing.desk import Importer
from onestop.onboarding.importing.routes import CONTROLLERS
from onestop.settings import Settings
from tests.onboarding.importing.conftest import ANSWERS, DOCUMENTS

pytestmark = pytest.mark.anyio

HUJI = (DOCUMENTS / "huji.swagger.yaml").read_text("utf-8")
PATH = "/v1/adapter-imports"


class Signed(msgspec.Struct):
    """Somebody signed in, in the role that the bearer token names."""

    role: str
    kind: str = "bearer"

    @property
    def principal(self) -> str:
        return f"ana:{self.role}"


class Roles:
    def peek(self, authorization: str | None, cookie: str | None) -> Signed | None:
        return Signed(authorization.removeprefix("Bearer ")) if authorization else None

    async def resolve(self, authorization: str | None, cookie: str | None) -> Signed | None:
        return self.peek(authorization, cookie)


@pytest.fixture
def importer() -> Importer:
    return Importer()


@pytest.fixture
async def client(settings: Settings, pool: Pool, importer: Importer) -> AsyncIterator[httpx.AsyncClient]:
    shared = {"importer": importer, "settings": settings}
    desk = build(CONTROLLERS, settings=settings, pool=pool, sessions=Roles(), shared=shared)
    transport = httpx.ASGITransport(app=desk, raise_app_exceptions=False)  # type: ignore[arg-type]
    headers = {"authorization": "Bearer department", "accept-language": "en"}
    async with httpx.AsyncClient(transport=transport, base_url="http://portal.test", headers=headers) as made:
        yield made


@pytest.mark.parametrize(("role", "status"), [("citizen", 403), ("clerk", 403), ("governance", 403), (None, 401)])
async def test_nobody_else_may_import(client: httpx.AsyncClient, role: str | None, status: int) -> None:
    headers = {"authorization": f"Bearer {role}" if role else ""}
    assert (await client.post(PATH, json={"document": HUJI}, headers=headers)).status_code == status


async def test_a_document_gives_operations_and_open_questions(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json={"document": HUJI, "name": "huji.swagger.yaml"})
    assert answer.status_code == 200
    told = answer.json()
    assert [operation["id"] for operation in told["operations"]] == ["post_hjxx_query", "apply", "get_ywsl_jd"]
    assert told["manifest_toml"] is None
    assert "region" not in told["open"]  # this installation's own is the default
    assert {"department.code", "basis", "idempotent.apply"} <= set(told["open"])


async def test_with_every_answer_the_manifest_comes(client: httpx.AsyncClient) -> None:
    answers = ANSWERS | {"idempotent": {"apply": "none"}}
    told = (await client.post(PATH, json={"document": HUJI, "name": "h.yaml", "answers": answers})).json()
    assert told["open"] == []
    assert parse(told["manifest_toml"].encode()).department.code == ANSWERS["department"]["code"]


async def test_how_an_answer_comes_is_asked_and_answered_over_http(client: httpx.AsyncClient) -> None:
    responses = {"202": {"description": "Accepted"}}
    paths = {"/forms": {"post": {"operationId": "sendForm", "responses": responses}}}
    body = {"document": json.dumps({"openapi": "3.0.3", "info": {"title": "Forms"}, "paths": paths})}
    answers = ANSWERS | {"idempotent": {"send_form": "none"}}
    open_ = (await client.post(PATH, json=body | {"answers": answers})).json()
    assert (open_["open"], open_["manifest_toml"]) == (["answer.send_form"], None)
    told = (await client.post(PATH, json=body | {"answers": answers | {"answer": {"send_form": "pull"}}})).json()
    assert parse(told["manifest_toml"].encode()).operations[0].answer == "pull"


async def test_an_archive_comes_as_base64_and_schemas_as_companions(client: httpx.AsyncClient) -> None:
    folder = DOCUMENTS / "wsdl"
    files = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.*")}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    zipped = (await client.post(PATH, json={"document_base64": base64.b64encode(made.getvalue()).decode()})).json()
    document = files.pop("register.wsdl")
    beside = (await client.post(PATH, json={"document": document, "companions": files})).json()
    assert zipped["operations"] == beside["operations"] != []


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 422, "form.invalid", "missing"),
        ({"document": "x", "document_base64": "eA=="}, 422, "form.invalid", "missing"),
        ({"document_base64": "%%%"}, 422, "form.invalid", "pattern"),
        ({"document": "a: [", "extra": 1}, 422, "form.invalid", "unknown"),
        ({"document": "a: [\n"}, 422, "import.document_unusable", "import.yaml"),
        ({"document": "{" * 5000}, 422, "import.document_unusable", "import.too_deep"),
        ({"document": "<!DOCTYPE a><a/>"}, 422, "import.document_unusable", "import.doctype"),
    ],
)
async def test_bad_input_is_refused_in_words(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    answer = await client.post(PATH, json=body)
    told = answer.json()
    assert (answer.status_code, told["code"], told["errors"][0]["code"]) == (status, code, field)
    assert "{" not in told["errors"][0]["detail"].partition("near")[0]


async def test_twenty_megabytes_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, json={"document": "x" * 20_000_000})).status_code == 413


async def test_the_event_loop_is_never_kept_busy(client: httpx.AsyncClient) -> None:
    large = HUJI + "".join(f"  T{i}: {{type: object, properties: {{a: {{type: string}}}}}}\n" for i in range(20_000))
    longest, last, done = 0.0, time.thread_time(), False  # of this thread's work, not of the machine's

    async def watch() -> None:
        nonlocal longest, last
        while not done:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.thread_time() - last), time.thread_time()

    watching = asyncio.create_task(watch())
    answer = await client.post(PATH, json={"document": large})
    done = True
    await watching
    assert answer.status_code == 200
    assert longest < 0.5


async def test_two_at_once_are_read_and_a_third_is_asked_to_come_back(client: httpx.AsyncClient) -> None:
    three = await asyncio.gather(*(client.post(PATH, json={"document": HUJI}) for _ in range(3)))
    assert sorted(answer.status_code for answer in three) == [200, 200, 503]
    refused = next(answer for answer in three if answer.status_code == 503)
    assert refused.json()["code"] == "import.busy"
    assert "retry-after" in refused.headers


async def test_an_import_that_takes_too_long_is_ended(client: httpx.AsyncClient, importer: Importer) -> None:
    importer.limit_s = 0.05  # less than a process needs to begin
    answer = await client.post(PATH, json={"document": HUJI})
    assert (answer.status_code, answer.json()["code"]) == (422, "import.too_slow")
    assert importer.running == 0
