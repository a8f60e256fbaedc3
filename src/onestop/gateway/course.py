"""The course of a call that takes more than one request: the pages of an answer, or the steps of an operation."""

from typing import TYPE_CHECKING, Any

from onestop.gateway import facts
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.paging import Pages, PageSpoiled, within
from onestop.gateway.steps import Walk
from onestop.outbound.models import Reply

if TYPE_CHECKING:
    from onestop.gateway.call import Call
    from onestop.gateway.replicas import Replica


class Course:
    """What one call still has to ask; `values` are the call's own and change from request to request."""

    __slots__ = ("asked", "main", "pages", "stay", "target", "walk")

    def __init__(self, prepared: Prepared, values: dict[str, Any]) -> None:
        self.main = prepared
        self.pages = Pages() if prepared.turner is not None else None
        self.walk = Walk(prepared) if prepared.steps else None
        self.target: tuple[str, str] | None = None  # path and query of a page that an address tells
        self.asked = ""  # path and query of the request under way: what a page's relative address is read from
        self.stay: Replica | None = None  # pages are of one system
        if prepared.turner is not None:
            values["page"] = prepared.turner.begin()

    def first(self, values: dict[str, Any]) -> Prepared | None:
        """Return what is asked first; None: every step is left out."""
        if self.walk is None:
            return self.main
        step = self.walk.next(values)
        return step.prepared if step is not None else None

    def heard(self, call: "Call", reply: Reply) -> Answer | None:
        """Read a reply; None: the call goes on, with `call.prepared` as its next request."""
        return self._page(call, reply) if self.pages is not None else self._step(call, reply)

    def _page(self, call: "Call", reply: Reply) -> Answer | None:
        assert self.pages is not None  # asked by the caller
        answer = self.main.page(reply, call.number, self.pages, call.values)
        call.piece("page", str(self.pages.count), call.written, "ok" if answer is None else answer.kind)
        if answer is not None:
            return answer
        replica = self.stay = call.replica
        if self.pages.target is not None and replica is not None:
            try:
                self.target = within(self.pages.target[1], replica.origin, replica.prefix, self.asked)
            except PageSpoiled as spoiled:
                answer = Answer("bad_reply", reply)
                answer.reason, answer.fact = str(spoiled), spoiled.fact
                return answer
        return None

    def _step(self, call: "Call", reply: Reply) -> Answer | None:
        walk = self.walk
        assert walk is not None  # a call without pages has steps
        assert walk.at is not None
        step = walk.at
        answer = call.prepared.answer(reply, None)
        call.piece("step", step.spec.id, call.written, answer.kind)
        if answer.kind != "ok":
            return answer
        try:
            walk.took(step, answer)
            following = walk.next(call.values)
        except MappingFailed as fault:
            answer = Answer("bad_reply", reply)
            answer.reason, answer.fact = str(fault), facts.of_body(fault, self.main.spec)
            return answer
        if following is not None:
            call.prepared = following.prepared
            return None
        call.prepared = self.main
        whole = walk.answer(call.number)
        whole.reply = reply
        return whole
