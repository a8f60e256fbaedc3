"""Entries of the data-use ledger: who is asked or given what, why, by what right; made once for each operation."""

from collections.abc import Callable, Iterable
from typing import Final

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.manifest_base import Words
from onestop.gateway.models import Effect, Settled

# What members of an effect consist of, where they are the same for all.
_INNER = {
    "subject": ("subject.name", "subject.number"),
    "case": ("case.number",),
    "actor": ("actor.name", "actor.number"),
    "mandate": ("mandate.id", "mandate.kind"),
}
# Outcomes that settle an effect, as the ledger says them; the others are news on the way.
_SETTLED: Final[dict[str, str]] = {
    "completed": "done",
    "transferred": "done",
    "declined": "refused",
    "correction": "refused",
    "desk": "unknown",
}
_PLACE = "\ue000"  # of the effect's id, in the entry that is kept for all effects of an operation


class Uses:
    """Makes entries from the manifests that one process serves."""

    def __init__(self, versions: Callable[[str, str], Iterable[Manifest]]) -> None:
        self._versions = versions  # an adapter's manifests, that of the version first
        self._read: dict[tuple[str, str, str, str], str] = {}
        self._given: dict[tuple[str, str, str, tuple[str, ...]], tuple[str, str]] = {}

    def read(self, want: str, adapter: str, version: str, outcome: str) -> str:
        """Return the entry, as JSON, of data that was asked for by a citizen's word for it."""
        key = (want, adapter, version, outcome)
        found = self._read.get(key)
        if found is None:
            spec = self._spec(adapter, version, lambda one: one.want == want)
            fields = tuple(sorted({*spec.reply.fields, *spec.reply.header_fields})) if spec else ()
            found = self._read[key] = audit.use_entry(_use(spec, adapter, want, version, outcome, fields))
        return found

    def given(self, adapter: str, operation: str, version: str, names: tuple[str, ...], effect: str) -> str:
        """Return the entry, as JSON, of data that an effect gives to a department: the members of what it is sent."""
        key = (adapter, operation, version, names)
        found = self._given.get(key)
        if found is None:
            spec = self._spec(adapter, version, lambda one: one.id == operation)
            fields = tuple(sorted(inner for name in names for inner in _INNER.get(name, (name,))))
            whole = audit.use_entry(_use(spec, adapter, operation, version, "given", fields, _PLACE))
            before, _, after = whole.partition(_PLACE)
            found = self._given[key] = (before, after)
        return found[0] + effect + found[1]

    def settled(self, effect: Effect, settled: Settled) -> str | None:
        """Return the entry, as JSON, of what a department told about an effect; None where nothing is settled by it.

        `done` and `refused` are the department's word, `unknown` is that nobody knows, and `resolved` that it is known
        after all. Fields are the names of what was told.
        """
        outcome = _SETTLED.get(settled.outcome)
        if outcome is None:
            return None
        if effect.state in ("unknown", "desk") and outcome != "unknown":
            outcome = "resolved"
        told = {"reference": settled.reference, "reason": settled.reason}
        fields = tuple(sorted({*(settled.result or {}), *(name for name, given in told.items() if given)}))
        spec = self._spec(effect.adapter, effect.version, lambda one: one.id == effect.operation)
        use = _use(spec, effect.adapter, effect.operation, effect.version, outcome, fields, effect.id)
        return audit.use_entry(use)

    def terms(self, use: Use) -> tuple[Words, Words] | None:
        """Return purpose and basis of an entry in both languages; None where its operation is not known here."""
        spec = self._spec(use.adapter, use.version, lambda one: one.id == use.operation)
        return None if spec is None else (spec.purpose, spec.basis)

    def _spec(self, adapter: str, version: str, fits: Callable[[Operation], bool]) -> Operation | None:
        every = (one for manifest in self._versions(adapter, version) for one in manifest.operations)
        return next((one for one in every if fits(one)), None)


def _use(
    spec: Operation | None,
    adapter: str,
    operation: str,
    version: str,
    outcome: str,
    fields: tuple[str, ...],
    effect: str | None = None,
) -> Use:
    return Use(
        adapter=adapter,
        basis=spec.basis.zh if spec else "",
        effect=effect,
        fields=fields,
        operation=spec.id if spec else operation,
        outcome=outcome,
        purpose=spec.purpose.zh if spec else "",
        version=version,
    )
