"""Clients of the kill test: each does what any outside client does who keeps to the contract of the keys.

A request that brings no answer, or an answer of 5xx, is sent again with the same key and the same body, to the other
gateway. Nothing else is known here of gateways, workers or kills.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import httpx
import msgspec

from onestop.demo import people
from onestop.identity.models import Identified
from onestop.identity.service import Sessions

from .checker import Application

_ATTEMPT_S = 8.0
_PATIENCE_S = 45.0  # then a client gives up, and the check says so
_IMPATIENT = 0.1  # the share of requests whose client hangs up early, as on a bad mobile line
_PAUSE_S = 0.15
MARK = "contact.phone"  # the field by which an application is known again, whoever answered for it


class Tally(msgspec.Struct):
    """What the clients saw."""

    requests: int = 0
    refused: int = 0  # no connection: certainly not done
    unknown: int = 0  # sent, and no answer came: done or not
    hung_up: int = 0  # of the unknown, those where the client itself did not wait
    resolved: int = 0  # of the unknown, those whose repetition brought the answer
    committed: int = 0  # of the resolved keyed ones, those that had been done: the answer was a replay
    repeated: int = 0  # acknowledged requests that were sent once more all the same
    served: dict[str, int] = {}  # answers by gateway


class GaveUp(Exception):
    """No answer came within a client's patience."""


class Person(msgspec.Struct, frozen=True):
    """Somebody who applies: their token, and who onestop takes them to be."""

    token: str
    subject: str


async def invite(sessions: Sessions, count: int) -> list[Person]:
    """Return people with bearer tokens: 林晓舟, whom departments know, and others whom they do not."""
    found = []
    known = people.person("lin")
    for number, name in [(known.id_number, known.name), *_invented(count - 1)]:
        who = Identified(number_type="citizen_id", number=number, name=name, level=2)
        bearer = await sessions.issue_bearer(who)
        found.append(Person(bearer.token, bearer.session.subject_id))
    return found


def _invented(count: int) -> Iterator[tuple[str, str]]:
    for nth in range(count):
        born = date(1960, 1, 1) + timedelta(days=37 * nth)  # nobody is a minor: they could not submit
        seventeen = f"990102{born:%Y%m%d}{200 + 2 * nth:03d}"
        number = seventeen + people.check_character(seventeen)
        if number not in people.by_number():
            yield number, f"演示{nth + 1}号"


class Applicant:
    """One application by one person, from draft to submission."""

    def __init__(self, nth: int, person: Person, gateways: Sequence[str], client: httpx.AsyncClient) -> None:
        self.mark = f"154{nth:08d}"
        self.told: set[str] = set()
        self.acknowledged = False
        self.acknowledged_at = 0.0
        self._nth, self._person, self._client = nth, person, client
        self._gateways = list(gateways)
        self._dice = random.Random(nth)

    def account(self) -> Application:
        """Return what this client knows at the end."""
        return Application(
            mark=self.mark,
            subject=self._person.subject,
            acknowledged=self.acknowledged,
            told=frozenset(self.told),
        )

    async def apply(self, tally: Tally, *, again: bool) -> None:
        """Open a draft, fill in what is asked, submit; with `again`, send both keyed requests once more afterwards."""
        opening = {"item": "birth", "situation": {"mother_insured": True}, "answers": _tree({MARK: self.mark})}
        open_key, submit_key = secrets.token_hex(16), secrets.token_hex(16)
        opened = await self._send(tally, "POST", "/v1/cases", opening, {"Idempotency-Key": open_key})
        assert opened.status_code == 201, opened.text
        case = opened.json()
        self.told.add(case["id"])
        here = f"/v1/cases/{case['id']}"
        version = await self._fill(tally, here, opened.headers["etag"], case["answers"])
        told = {"Idempotency-Key": submit_key, "If-Match": version}
        body = {"declarations": ["all_true"]}
        submitted = await self._send(tally, "POST", f"{here}/submission", body, told)
        assert submitted.status_code == 202, submitted.text
        self.told.add(submitted.json()["case"].rpartition("/")[2])
        self.acknowledged, self.acknowledged_at = True, time.monotonic()
        if again:
            one = await self._send(tally, "POST", "/v1/cases", opening, {"Idempotency-Key": open_key})
            two = await self._send(tally, "POST", f"{here}/submission", body, told)
            self.told |= {one.json()["id"], two.json()["case"].rpartition("/")[2]}
            tally.repeated += 2

    async def _fill(self, tally: Tally, here: str, version: str, form: Mapping[str, Any]) -> str:
        """Give what the form still asks for, and return the version the case then has."""
        given = self._answers(form)
        reply = await self._send(tally, "PATCH", f"{here}/answers", {"answers": given}, {"If-Match": version})
        if reply.status_code == 412:  # an attempt without an answer had been taken: look before going on
            reply = await self._send(tally, "GET", here, None, {})
            assert not self._answers(reply.json()["answers"]), "some values were taken and some were not"
        assert reply.status_code == 200, reply.text
        return reply.headers["etag"]

    def _answers(self, form: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        known = {
            "mother.address": f"云溪市临江区柳岸街道书院路{self._nth + 1}号",
            "mother.insured": True,
            "baby.name": f"演示宝{self._nth}",
            "baby.sex": self._dice.choice(("female", "male")),
            "baby.born_on": f"{date(2025, 11, 1) + timedelta(days=self._nth % 28)}",
            "birth.hospital": "云溪市妇幼保健院",
            "guidance.station": "liuan",
        }
        asked = [
            f"{group}.{name}"
            for group, fields in form.items()
            for name, field in fields.items()
            if field.get("required") and field["value"] is None
        ]
        return _tree({code: known[code] for code in asked})

    async def _send(
        self, tally: Tally, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send until an answer comes that is one; the other gateway is next after every attempt without."""
        content = None if body is None else msgspec.json.encode(body)
        told = {"Authorization": f"Bearer {self._person.token}", **headers}
        if content is not None:
            told["Content-Type"] = "application/json"
        until = time.monotonic() + _PATIENCE_S
        doubtful = 0
        self._dice.shuffle(self._gateways)
        while time.monotonic() < until:
            gateway = self._gateways[0]
            self._gateways.reverse()
            tally.requests += 1
            impatient = self._dice.random() < _IMPATIENT
            try:
                async with asyncio.timeout(self._dice.uniform(0.01, 0.4) if impatient else _ATTEMPT_S):
                    reply = await self._client.request(method, gateway + path, content=content, headers=told)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                tally.refused += 1
            except (httpx.TransportError, TimeoutError):
                doubtful += 1
                tally.unknown += 1
                tally.hung_up += impatient
            else:
                running = reply.status_code == 409 and reply.json()["code"] == "idempotency.in_progress"
                if reply.status_code < 500 and not running:
                    tally.resolved += doubtful
                    tally.committed += bool(doubtful) and "idempotent-replay" in reply.headers
                    tally.served[gateway] = tally.served.get(gateway, 0) + 1
                    return reply
                if not running:
                    doubtful += 1
                    tally.unknown += 1
            await asyncio.sleep(_PAUSE_S)
        raise GaveUp(f"{method} {path}")


def _tree(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    tree: dict[str, dict[str, Any]] = {}
    for code, value in values.items():
        group, _, name = code.partition(".")
        tree.setdefault(group, {})[name] = value
    return tree
