"""A case's events as a stream: the topic `case:<id>`, thin CloudEvents without personal data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from onestop.cases import store
from onestop.cases.errors import CaseUnknown
from onestop.db import Pool
from onestop.http.models import Context
from onestop.http.streams import Event
from onestop.identity.models import Session

_json = msgspec.json.Encoder()


class CaseStreams:
    """Where the streams of cases take their events from."""

    def __init__(self, pool: Pool, region: str, sees: Callable[[Session, str], Awaitable[bool]]) -> None:
        self._pool, self._region, self._sees = pool, region, sees

    async def since(self, topic: str, last_id: str | None) -> Sequence[Event]:
        """Return a topic's events after that one, oldest first; from the beginning where the id is none of ours."""
        case_id = topic.removeprefix("case:")
        after = int(last_id) if last_id and last_id.isdigit() and len(last_id) < 10 else 0
        events = await store.events(self._pool, self._region, case_id, after)
        return [
            Event(
                str(event.seq),
                event.type,
                _json.encode(
                    {
                        "specversion": "1.0",
                        "id": f"{case_id}/{event.seq}",
                        "source": f"/regions/{self._region}",
                        "type": event.type,
                        "subject": case_id,
                        "time": event.at,
                        "sequence": str(event.seq),
                        "datacontenttype": "application/json",
                        "data": {"case": case_id, "step": event.step, "links": {"case": f"/v1/cases/{case_id}"}},
                    }
                ),
            )
            for event in events
        ]

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the id of each topic's newest event."""
        ids = [topic.removeprefix("case:") for topic in topics]
        found = await store.newest_events(self._pool, self._region, ids)
        return {f"case:{case_id}": str(seq) for case_id, seq in found}

    async def authorise(self, context: Context, parameters: Mapping[str, str]) -> str:
        """Return the topic of a case's stream.

        Raises:
            Unauthenticated: nobody is signed in.
            CaseUnknown: not one of this subject's cases.
        """
        session: Session = context.signed_in()
        case = await store.own_case(self._pool, self._region, parameters["id"], session.subject_id)
        if case is None or not await self._sees(session, case.item):
            raise CaseUnknown(parameters["id"])
        return f"case:{case.id}"
