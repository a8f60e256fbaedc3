"""The gateway of one process: a line to every department that has a system here, and what may be asked over it now."""

import time
import tomllib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from onestop import clock
from onestop.db import Pool
from onestop.errors import StepUpRequired
from onestop.gateway import facts
from onestop.gateway import manifest as manifests
from onestop.gateway.facts import Fact, fact
from onestop.gateway.line import Line, Where, environment
from onestop.gateway.lint.place import needed
from onestop.gateway.manifest import BadManifest, Manifest, Operation
from onestop.gateway.models import Ask, Held
from onestop.gateway.operations import Prepared, prepare
from onestop.gateway.overrides import WHOLE, Override, Overrides
from onestop.gateway.owners import owned_by
from onestop.gateway.quotas import Quotas
from onestop.gateway.representation import named_parties
from onestop.gateway.uses import Uses
from onestop.gateway.windows import OneOff, in_window
from onestop.outbound.addresses import AllowList
from onestop.resources import shipped
from onestop.settings import Settings
from onestop.texts import text

log = structlog.get_logger(__name__)

_NONE = "0.0.0"  # no version: whoever finds it goes by the newest


class Trial(msgspec.Struct, frozen=True):
    """A version that serves a few people only."""

    line: Line
    subjects: frozenset[bytes]  # blind indices of their numbers


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway serves at one moment; the registry replaces it whole."""

    manifests: dict[str, Manifest]
    lines: dict[str, Line]
    kept: dict[tuple[str, str], Line] = {}  # by adapter and version: trial, previous, held back
    trials: dict[str, Trial] = {}
    stopped: frozenset[str] = frozenset()  # quarantined, and no other version serves
    one_offs: dict[str, tuple[OneOff, ...]] = {}
    faults: dict[str, str] = {}  # why an adapter could not be loaded
    closed: dict[str, Fact] = {}  # why there is no line to a department that has a system
    overrides: Overrides = Overrides()
    owners: dict[str, str] = {}  # by adapter: whose it is, where onboarding knows


class Gateway:
    """Manifests, lines, and what citizens call the answers."""

    def __init__(
        self, known: Mapping[str, Manifest], lines: dict[str, Line], closed: Mapping[str, Fact] | None = None
    ) -> None:
        self.files: dict[str, bytes] = {}  # the manifests of the adapters' folder, as they came
        self.quotas = Quotas()
        self.indices: Callable[[str], frozenset[bytes]] = lambda _: frozenset()  # of a number, as trials list people
        # Told after a commit that changed a case; the front desk's streams listen.
        self.changed: Callable[[Pool, str], Awaitable[None]] = _nobody_listens
        self.on_swap: list[Callable[[], None]] = []  # told when manifests were replaced
        self._prepared: dict[str, tuple[Manifest, dict[str, Prepared]]] = {}
        self.show(Shown(manifests=dict(known), lines=lines, closed=dict(closed or {})))

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Read the manifests and open a line to each department the environment file knows.

        One that cannot be used is left out and said in `faults`: it stops nobody else.
        """
        known, files, faults, _ = read_files(settings.adapters_dir or shipped("adapters"))
        allow = AllowList(settings.outbound_allow)
        told = places(settings)
        lines: dict[str, Line] = {}
        closed: dict[str, Fact] = {}
        for name, manifest in known.items():
            if manifest.desk or (name not in told and not is_called(manifest)):
                continue
            opened = open_line(manifest, told.get(name), allow, settings.networks)
            if isinstance(opened, Line):
                lines[name] = opened
            else:
                closed[name] = opened
        faults |= {name: in_words(why) for name, why in closed.items() if why.code != "no_environment"}
        missing = [name for name, why in closed.items() if why.code == "no_environment"]
        if missing:
            log.warning("adapters_without_environment", adapters=missing)
        for name, sentence in faults.items():
            log.error("adapter_not_loaded", adapter=name, fault=sentence)
        made = cls(known, lines, closed)
        made.files = files
        made.show(Shown(manifests=known, lines=lines, faults=faults, closed=closed))
        return made

    def owned_by(self, department: str | None) -> frozenset[str]:
        """Return the adapters that are a department's own; empty for None."""
        return owned_by(department, self.manifests, self.shown.owners)

    def show(self, shown: Shown) -> None:
        """Serve this from now on; calls under way go on over the lines they began on."""
        self.shown = shown
        self.manifests, self.lines, self.faults = shown.manifests, shown.lines, shown.faults
        self.closed = shown.closed
        for line in self.every_line():
            line.overrides = shown.overrides
        trials = [trial.line.manifest for trial in shown.trials.values()]
        serving = [*self.manifests.values(), *trials]
        self.wants: dict[str, Ask] = {}
        for manifest in serving:  # what is live goes before what is tried
            for operation in manifest.operations:
                if operation.kind == "query" and operation.want:
                    ask = Ask(want=operation.want, adapter=manifest.id, operation=operation.id)
                    self.wants.setdefault(operation.want, ask)
        self.uses = Uses(self._versions)
        self._parties: dict[tuple[str, str], frozenset[str]] = {}
        self._person_numbers: dict[str, frozenset[str]] = {}
        for manifest in serving:
            for operation in manifest.operations:
                if operation.want:
                    own = frozenset(operation.reply.person_numbers) & _names(operation.reply.fields)
                    self._person_numbers[operation.want] = own | self._person_numbers.get(operation.want, frozenset())
        self._away: dict[str, tuple[float, datetime | None]] = {}
        for tell in self.on_swap:
            tell()

    # ---- which line

    def lines_for(self, number: str) -> Mapping[str, Line]:
        """Return the lines that serve the person with that number: trial versions for those who try them."""
        trials = self.shown.trials
        if not trials:
            return self.lines
        indices = self.indices(number)
        own = {adapter: trial.line for adapter, trial in trials.items() if not trial.subjects.isdisjoint(indices)}
        return {**self.lines, **own} if own else self.lines

    def line_now(self, adapter: str, version: str) -> Line | None:
        """Return the line for something that was meant for this version and never sent: the trial's, or the newest."""
        trial = self.shown.trials.get(adapter)
        if trial is not None and trial.line.manifest.version == version:
            return trial.line
        return self.lines.get(adapter)

    def line_of(self, adapter: str, version: str) -> Line | None:
        """Return the line that something was sent over: that version's while it is kept, else the newest."""
        line = self.lines.get(adapter)
        if line is not None and line.manifest.version == version:
            return line
        return self.shown.kept.get((adapter, version)) or line

    def lines_of(self, adapter: str) -> Iterator[Line]:
        """Return every line an adapter has here, the newest first."""
        line = self.lines.get(adapter)
        if line is not None:
            yield line
        yield from (kept for (name, _), kept in self.shown.kept.items() if name == adapter and kept is not line)

    def operation(self, adapter: str, operation: str) -> Prepared | None:
        """Return a compiled operation, also of a department that has no address because it fetches; None: no such."""
        manifest = self.manifests.get(adapter)
        if manifest is None or manifest.desk:
            return None
        line = self.lines.get(adapter)
        if line is not None and line.manifest is manifest:
            return line.operations.get(operation)
        kept = self._prepared.get(adapter)
        if kept is None or kept[0] is not manifest:
            kept = self._prepared[adapter] = (manifest, prepare(manifest))
        return kept[1].get(operation)

    def every_line(self) -> Iterator[Line]:
        """Return every line there is here: live, tried, kept; one may come twice."""
        yield from self.lines.values()
        yield from self.shown.kept.values()
        yield from (trial.line for trial in self.shown.trials.values())

    def version_for(self, adapter: str, number: str | None) -> str:
        """Return the version that serves a person now."""
        if number is not None and self.shown.trials and (line := self.lines_for(number).get(adapter)) is not None:
            return line.manifest.version
        manifest = self.manifests.get(adapter)
        return manifest.version if manifest is not None else _NONE  # it went off line while the case was written

    def operation_of(self, ask: Ask) -> Operation | None:
        """Return the operation behind a question, of what is live or tried; None where it is gone."""
        for manifest in self._versions(ask.adapter):
            found = next((operation for operation in manifest.operations if operation.id == ask.operation), None)
            if found is not None:
                return found
        return None

    def _versions(self, adapter: str, version: str | None = None) -> Iterator[Manifest]:
        """Return an adapter's manifests here: that of `version` first, then what is live, then what is tried."""
        kept = self.shown.kept.get((adapter, version or ""))
        if kept is not None:
            yield kept.manifest
        if adapter in self.manifests:
            yield self.manifests[adapter]
        if adapter in self.shown.trials:
            yield self.shown.trials[adapter].line.manifest

    def manifest_of(self, adapter: str) -> Manifest | None:
        """Return what is live of an adapter, or else tried; None where it is not here."""
        return next(self._versions(adapter), None)

    # ---- whether it may be asked

    def admit(self, ask: Ask) -> tuple[Held, Manifest] | None:
        """Count a question that may be asked now; else return why it is not, with who is not asked."""
        held = self._too_low(ask) or self.held(ask.adapter, ask.operation)
        if held is None and (ask.adapter in self.lines or ask.adapter in self.shown.trials):
            refused = self.quotas.take(ask.consumer, ask.adapter, ask.operation)
            if refused is not None:
                held = Held(state="denied", code=refused.code, retry_after_s=refused.retry_after_s)
        if held is None:
            return None
        manifest = next(self._versions(ask.adapter), None)
        return None if manifest is None else (held, manifest)

    def _too_low(self, ask: Ask) -> Held | None:
        if ask.level >= 3:
            return None
        spec = self.operation_of(ask)
        # Below level 1 nobody's name is known, so there is no number to ask by.
        needs = max(spec.min_level, 1) if spec else 0
        return Held(state="denied", code=StepUpRequired.code) if needs > ask.level else None

    def held(self, adapter: str, operation: str = WHOLE) -> Held | None:
        """Return why nothing is sent now: quarantine, an operator's stop, or a window that was announced; else None."""
        if adapter in self.shown.stopped:
            return Held(state="unavailable", code="adapter.quarantined")
        if self.shown.overrides and (stop := self.stop(adapter, operation)) is not None:
            left = max((stop.until - clock.real_now()).total_seconds(), 1.0)
            return Held(state="unavailable", code="upstream.stopped", retry_after_s=round(left, 1), until=stop.until)
        until = self.maintenance(adapter)
        if until is None:
            return None
        left = max((until - clock.now()).total_seconds(), 1.0)
        return Held(state="maintenance", code="upstream.maintenance", retry_after_s=round(left, 1), until=until)

    def stop(self, adapter: str, operation: str = WHOLE) -> Override | None:
        """Return by whose word, and why, nothing is sent to an operation now."""
        found = self.shown.overrides.find(adapter, operation, clock.real_now())
        return found if found is not None and found.state == "stopped" else None

    def overridden(self, adapter: str) -> list[Override]:
        """Return everything that operators say of a line now."""
        return self.shown.overrides.of(adapter, clock.real_now())

    def maintenance(self, adapter: str) -> datetime | None:
        """Return until when a department is away as it announced, None while it is not; looked at once a second."""
        manifest = self.manifests.get(adapter)
        weekly = manifest.windows if manifest is not None else ()
        one_offs = self.shown.one_offs.get(adapter, ())
        if not weekly and not one_offs:
            return None
        now = time.monotonic()
        looked = self._away.get(adapter)
        if looked is None or now >= looked[0]:
            looked = self._away[adapter] = (now + 1.0, in_window(weekly, one_offs, clock.now()))
        return looked[1]

    # ---- what is told

    def parties(self, adapter: str, operation: str) -> frozenset[str]:
        """Return whether a department is told who acts, and under which mandate, in any version that is served here."""
        found = self._parties.get((adapter, operation))
        if found is None:
            specs = (one for manifest in self._versions(adapter) for one in manifest.operations if one.id == operation)
            found = self._parties[adapter, operation] = frozenset().union(*(named_parties(one) for one in specs))
        return found

    def person_numbers(self, want: str) -> frozenset[str]:
        """Return the members of a want's answer that hold person numbers; empty where its mapping makes none."""
        return self._person_numbers.get(want, frozenset())

    def health(self) -> list[dict[str, Any]]:
        """Tell how each line is, in order of name, and which adapters could not be loaded."""
        told = [self.lines[name].health() for name in sorted(self.lines)]
        for line in told:
            line["maintenance_until"] = self.maintenance(str(line["adapter"]))
            line["overrides"] = self.overridden(str(line["adapter"]))
        return told

    async def close(self) -> None:
        """Cut all lines."""
        for line in {id(line): line for line in self.every_line()}.values():
            await line.close()


def open_line(manifest: Manifest, where: Where | None, allow: AllowList, networks: Collection[str]) -> Line | Fact:
    """Open a line to a department, or tell why there is none: one department's bad entry costs its own line only."""
    name, network = manifest.id, manifest.department.network
    if where is None:
        return fact("no_environment", id=name)
    if network not in networks:
        log.error("adapter_on_another_network", adapter=name, network=network)
        return fact("network_refused", id=name, network=network, reachable=facts.names(networks))
    try:
        return Line(manifest, where, allow)
    except BadManifest as fault:
        log.error("adapter_not_opened", adapter=name, rule=fault.rule, sentence=str(fault))
        secrets = needed(manifest) - set(where.secrets)
        if fault.rule != "ADP-132" and secrets:
            return fact("missing_secret", id=name, secrets=facts.names(secrets))
        return fact("not_opened", id=name, why=str(fault))
    except Exception as fault:
        # A secret may be anything; its words are not shown, for they may hold a part of it.
        log.error("adapter_not_opened", adapter=name, fault=type(fault).__name__)
        return fact("not_opened", id=name, why=f"{manifest.version}: {type(fault).__name__}")


def is_called(manifest: Manifest) -> bool:
    """Tell whether a department has a system that is called; others have a desk, fetch, or exchange files."""
    return not manifest.desk and any(one.answer not in ("pull", "file") for one in manifest.operations)


def in_words(why: Fact) -> str:
    """Return a fact as a sentence for owners and operators."""
    return text(f"fact.{why.code}.says", "zh", **why.params)


def _names(tree: Any) -> frozenset[str]:
    """Return every member's name in a mapping's tree, at any depth."""
    if not isinstance(tree, dict):
        return frozenset()
    return frozenset(tree).union(*(_names(part) for part in tree.values()))


def read_files(folder: Path) -> tuple[dict[str, Manifest], dict[str, bytes], dict[str, str], dict[str, str]]:
    """Read every `<adapter>/manifest.toml`: manifests and bytes by id, and the fault of each that cannot be used.

    At last what a later rule finds wrong with those that serve all the same.
    """
    known: dict[str, Manifest] = {}
    files: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    remarks: dict[str, str] = {}
    for path in sorted(folder.glob("*/manifest.toml")):
        name = path.parent.name
        try:
            data = path.read_bytes()
            manifest, remark = manifests.parse_serving(data, f"{name}/manifest.toml")
            if manifest.id != name:
                raise BadManifest(f"{name}/manifest.toml: id {manifest.id} is not the folder's name")
        except (OSError, BadManifest) as fault:
            faults[name] = str(fault)
            continue
        known[name], files[name] = manifest, data
        if remark is not None:
            remarks[name] = remark
    return known, files, faults, remarks


def places(settings: Settings) -> dict[str, Where]:
    """Read where each adapter's system is; empty where no environment file is told."""
    if settings.environment_file is None:
        return {}
    return environment(tomllib.loads(settings.environment_file.read_text("utf-8")))


async def _nobody_listens(_: Pool, __: str) -> None:
    return None
