"""From what is kept of a request to the chain a person reads: which link passed, which failed, why, who acts."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from onestop.errors import OnestopError
from onestop.gateway import store_traces
from onestop.gateway.explain_curl import curl_of
from onestop.gateway.facts import FACTS, Fact
from onestop.gateway.manifest import Manifest
from onestop.texts import Language, has, text

CHAIN: Final = (
    "identity",
    "assurance",
    "mandate",
    "basis",
    "agreement",
    "quota",
    "schema",
    "limit",
    "breaker",
    "upstream",
    "mapping",
)
# Which link of the chain a question's outcome belongs to, where no fact says so.
_LINK: Final = {
    "ok": None,
    "not_found": None,
    "full": "limit",
    "busy": "quota",
    "paused": "breaker",
    "denied": "agreement",
    "unmappable": "mapping",
    "bad_reply": "mapping",
    "invalid": "schema",
    "kept": None,
    "agreement.missing": "agreement",
    "basis.missing": "agreement",
    "quota.exhausted": "quota",
    "auth.level_too_low": "assurance",
    "upstream.maintenance": "limit",
    "adapter.quarantined": "limit",
    "upstream.stopped": "limit",
    "stopped": "limit",
}
# Outcomes of a question whose problem has another name.
_CODES: Final = {
    "pending": "upstream.timeout",
    "invalid": "upstream.refused",
    "declined": "upstream.refused",
    "correction": "upstream.refused",
    "unknown": "upstream.unknown_outcome",
    "ok": "upstream.stale",
    "not_found": "upstream.stale",
}


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One link of the chain: passed, noted (passed, with a remark), failed, or not reached."""

    link: str
    state: str  # passed | noted | failed | not_reached
    department: str | None = None
    adapter: str | None = None
    operation: str | None = None
    code: str | None = None
    fact: str | None = None  # what decided, by a name that does not change
    says: str | None = None
    detail: str | None = None  # the sentence of the decisive fact
    fix: str | None = None
    who_acts: str | None = None
    curl: str | None = None  # the department's request to copy, with placeholders; for operators and the department


def chain(
    entry: store_traces.Entry,
    bars: list[dict[str, Any]],
    lang: Language,
    manifests: Mapping[str, Manifest],
    *,
    curl: bool,
) -> list[Link]:
    """Return every link in order; a link that failed for several departments stands there once for each."""
    told = _fact(entry.records.get("fact"))
    refused = _refusal(entry.outcome)
    if refused is not None:
        link = FACTS[told.code][0] if told and told.code in FACTS else None
        stage = link or (refused.stage if refused.stage in CHAIN else "upstream")
        manifest = manifests.get(str(entry.records.get("adapter")))
        failed = _failed(stage, refused.code, refused.who_acts, told, lang)
        if manifest is not None:
            failed = msgspec.structs.replace(failed, department=name_of(manifest, lang), adapter=manifest.id)
        at = CHAIN.index(stage)
        before = [Link(link=name, state="passed") for name in CHAIN[:at]]
        return [*before, failed, *(Link(link=name, state="not_reached") for name in CHAIN[at + 1 :])]
    found: dict[str, list[Link]] = {}
    for bar in bars:
        link_of = _of_bar(bar, lang, manifests.get(bar["adapter"]), curl=curl)
        if link_of is not None:
            found.setdefault(link_of.link, []).append(link_of)
    return [link for name in CHAIN for link in found.get(name, [Link(link=name, state="passed")])]


def _of_bar(bar: dict[str, Any], lang: Language, manifest: Manifest | None, *, curl: bool) -> Link | None:
    """Return the link one question failed at, or was noted at; None where all was well."""
    outcome, told = bar["outcome"], _fact(bar.get("detail"))
    well = outcome in ("ok", "not_found", "kept")
    if well and (told is None or told.code != "old_reply"):
        return None
    link = (FACTS[told.code][0] if told and told.code in FACTS else None) or _LINK.get(outcome, "upstream") or "mapping"
    code = outcome if "." in outcome else _CODES.get(outcome, f"upstream.{outcome}")
    made = _failed(link, code, "operator" if outcome == "unmappable" else "department", told, lang)
    return msgspec.structs.replace(
        made,
        state="noted" if well else "failed",
        department=name_of(manifest, lang) if manifest else bar["adapter"],
        adapter=bar["adapter"],
        operation=bar["operation"],
        curl=curl_of(manifest, bar["operation"]) if curl and manifest else None,
    )


def _failed(link: str, code: str, who_acts: str, told: Fact | None, lang: Language) -> Link:
    known = told is not None and told.code in FACTS
    return Link(
        link=link,
        state="failed",
        code=code,
        fact=told.code if told else None,
        says=text(f"problem.{code}.cause", lang),
        detail=sentence(told, lang) if told and known else None,
        fix=text(f"fact.{told.code}.fix", lang) if told and known else text(f"problem.{code}.fix", lang),
        who_acts=FACTS[told.code][1] if told and known else who_acts,
    )


def sentence(told: Fact, lang: Language) -> str:
    """Return a fact in words; a problem code among its parameters is told by its title."""
    params = dict(told.params)
    why = params.get("why")
    if isinstance(why, str) and has(f"problem.{why}.title"):
        params["why"] = text(f"problem.{why}.title", lang)
    return text(f"fact.{told.code}.says", lang, **params)


def name_of(manifest: Manifest, lang: Language) -> str:
    """Return a department's name."""
    name = manifest.department.name
    return name.zh if lang == "zh" else name.en


def _fact(kept: Any) -> Fact | None:
    return msgspec.convert(kept, Fact) if isinstance(kept, dict) else None


def _refusal(code: str) -> type[OnestopError] | None:
    """Return the kind of failure a code names; None where the request was answered."""
    found: list[type[OnestopError]] = [OnestopError]
    while found:
        kind = found.pop()
        if kind.code == code:
            return kind
        found += kind.__subclasses__()
    return None
