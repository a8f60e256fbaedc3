"""FastAPI, Pydantic, SQLAlchemy, httpx and PyJWT put together the way their documentation does it."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import BigInteger, DateTime, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DEPARTMENTS = os.environ["BENCH_DEPARTMENTS"].split(",")
PUBLIC_KEY = Path(os.environ["BENCH_KEY"]).read_text()
BUDGET_S = 0.5

# The defaults (5 kept, 10 more) would starve this peer; every contender has 16 connections.
engine = create_async_engine(
    os.environ["BENCH_DSN"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=16, max_overflow=0
)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class CitizenRow(Base):
    __tablename__ = "citizens"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    district: Mapped[str]
    assurance: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class CaseRow(Base):
    __tablename__ = "cases"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    citizen_id: Mapped[int] = mapped_column(BigInteger)
    item: Mapped[str]
    state: Mapped[str]
    answers: Mapped[dict[str, Any]] = mapped_column(JSONB)


class EffectRow(Base):
    __tablename__ = "effects"
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    department: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    state: Mapped[str]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class AuditRow(Base):
    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    case_id: Mapped[uuid.UUID]
    actor: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Me(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    name: str
    district: str
    assurance: str
    updated_at: datetime


class Answers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: Annotated[str, Field(min_length=1, max_length=500)]


class NewCase(BaseModel):
    model_config = ConfigDict(extra="forbid")
    item: Annotated[str, Field(pattern=r"^[a-z0-9-]{3,40}$")]
    submit: bool
    answers: Answers


class Fee(BaseModel):
    code: str
    kind: str
    amount_fen: int
    paid: bool


class Answer(BaseModel):
    department: str
    receipt: str
    state: str
    decided_at: datetime
    lines: list[Fee]
    remark: str


class Part(BaseModel):
    department: str
    state: str
    answer: Answer | None = None


class Case(BaseModel):
    id: uuid.UUID
    complete: bool
    parts: list[Part]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=BUDGET_S) as client:
        app.state.client = client
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def current_citizen(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> int:
    try:
        claims = jwt.decode(
            bearer.credentials,
            PUBLIC_KEY,
            algorithms=["ES256"],
            issuer="https://id.bench.test",
            audience="one-stop",
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token") from None
    return int(claims["sub"])


async def session() -> AsyncIterator[AsyncSession]:
    async with open_session() as opened:
        yield opened


Citizen = Annotated[int, Depends(current_citizen)]
Session = Annotated[AsyncSession, Depends(session)]


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.get("/me")
async def me(citizen: Citizen, db: Session) -> Me:
    row = await db.get(CitizenRow, citizen)
    if row is None:
        raise HTTPException(404, "No such citizen")
    return Me.model_validate(row)


async def ask(client: httpx.AsyncClient, number: int, key: str, citizen: int, note: str) -> Part:
    name = f"bench-{number}"
    try:
        reply = await client.post(
            f"{DEPARTMENTS[number - 1]}/applications",
            json={"serial": key, "citizen": citizen, "note": note},
            headers={"Idempotency-Key": key},
        )
        reply.raise_for_status()
        return Part(department=name, state="ok", answer=Answer.model_validate(reply.json()))
    except httpx.TimeoutException:
        return Part(department=name, state="late")
    except (httpx.HTTPError, ValidationError, ValueError):
        return Part(department=name, state="failed")


@app.post("/cases", status_code=201)
async def open_case(request: Request, data: NewCase, citizen: Citizen, db: Session) -> Case:
    case_id = uuid.uuid4()
    keys = [f"{case_id}-{n + 1}" for n in range(len(DEPARTMENTS))]
    client = request.app.state.client
    parts = await asyncio.gather(*(ask(client, n + 1, key, citizen, data.answers.note) for n, key in enumerate(keys)))
    complete = all(part.state == "ok" for part in parts)
    state = "submitted" if complete else "partial"
    detail = {"item": data.item, "states": [part.state for part in parts]}
    effects = [
        EffectRow(
            case_id=case_id,
            department=part.department,
            key=key,
            state="done" if part.state == "ok" else "unknown",
            answer=part.answer.model_dump(mode="json") if part.answer else None,
        )
        for key, part in zip(keys, parts, strict=True)
    ]
    db.add(CaseRow(id=case_id, citizen_id=citizen, item=data.item, state=state, answers=data.answers.model_dump()))
    db.add(AuditRow(case_id=case_id, actor=citizen, action="case.submit", detail=detail))
    db.add_all(effects)
    await db.commit()
    return Case(id=case_id, complete=complete, parts=parts)


@app.get("/pass")
async def pass_on(request: Request) -> Response:
    try:
        reply = await request.app.state.client.get(f"{DEPARTMENTS[0]}/records")
    except httpx.HTTPError:
        raise HTTPException(502, "The department does not answer") from None
    return Response(reply.content, reply.status_code, media_type="application/json")


@app.get("/events", response_class=EventSourceResponse)
async def events(citizen: Citizen) -> AsyncIterable[dict[str, int]]:
    yield {"citizen": citizen}
    await asyncio.Event().wait()
