"""The gateway of one process: a line to every department that has a system here."""

import tomllib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Self

import msgspec
import structlog

from onestop.audit.models import Use
from onestop.db import Pool
from onestop.gateway import facts
from onestop.gateway import manifest as manifests
from onestop.gateway.facts import Fact, fact
from onestop.gateway.line import Line, Where, environment
from onestop.gateway.lint_place import needed
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.models import Ask
from onestop.gateway.operations import Prepared, prepare
from onestop.outbound.addresses import AllowList
from onestop.resources import shipped
from onestop.settings import Settings

log = structlog.get_logger(__name__)


class Gateway:
    """Manifests, lines, and what citizens call the answers."""

    def __init__(
        self, known: Mapping[str, Manifest], lines: dict[str, Line], closed: Mapping[str, Fact] | None = None
    ) -> None:
        self.manifests = dict(known)
        self.lines = lines
        self.closed = dict(closed or {})  # why there is no line to a department that has a system
        self.wants = {
            operation.want: Ask(want=operation.want, adapter=manifest.id, operation=operation.id)
            for manifest in self.manifests.values()
            for operation in manifest.operations
            if operation.kind == "query" and operation.want
        }
        self._uses: dict[tuple[str, str, str, str], str] = {}
        self._person_numbers = {
            operation.want: frozenset(operation.reply.person_numbers) & _names(operation.reply.fields)
            for manifest in self.manifests.values()
            for operation in manifest.operations
            if operation.want
        }
        self._prepared: dict[str, tuple[Manifest, dict[str, Prepared]]] = {}
        # Told after a commit that changed a case; the front desk's streams listen.
        self.changed: Callable[[Pool, str], Awaitable[None]] = _nobody_listens

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Read the manifests and open a line to each department the environment file knows.

        Raises:
            BadManifest: a manifest cannot be used. Where only its place here cannot, that line stays closed.
        """
        known = manifests.load(settings.adapters_dir or shipped("adapters"))
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
        missing = [name for name, why in closed.items() if why.code == "no_environment"]
        if missing:
            log.warning("adapters_without_environment", adapters=missing)
        return cls(known, lines, closed)

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

    def use(self, want: str, adapter: str, version: str, outcome: str) -> str:
        """Return one entry of the data-use ledger as JSON: who was asked, why, by what right, what came of it."""
        key = (want, adapter, version, outcome)
        found = self._uses.get(key)
        if found is None:
            ask = self.wants.get(want)
            spec = self.manifests[ask.adapter].operation(ask.operation) if ask else None
            use = Use(
                adapter=adapter,
                operation=spec.id if spec else want,
                version=version,
                outcome=outcome,
                purpose=spec.purpose.zh if spec else "",
                basis=spec.basis.zh if spec else "",
            )
            found = self._uses[key] = msgspec.json.encode(use).decode()
        return found

    def person_numbers(self, want: str) -> frozenset[str]:
        """Return the members of a want's answer that hold person numbers; empty where its mapping makes none."""
        return self._person_numbers.get(want, frozenset())

    def health(self) -> list[dict[str, Any]]:
        """Tell how each line is, in order of name."""
        return [self.lines[name].health() for name in sorted(self.lines)]

    async def close(self) -> None:
        """Cut all lines."""
        for line in self.lines.values():
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


def is_called(manifest: Manifest) -> bool:
    """Tell whether a department has a system that is called; others have a desk, fetch, or exchange files."""
    return not manifest.desk and any(one.answer not in ("pull", "file") for one in manifest.operations)


def _names(tree: Any) -> frozenset[str]:
    """Return every member's name in a mapping's tree, at any depth."""
    if not isinstance(tree, dict):
        return frozenset()
    return frozenset(tree).union(*(_names(part) for part in tree.values()))


def places(settings: Settings) -> dict[str, Where]:
    """Read where each adapter's system is; empty where no environment file is told."""
    if settings.environment_file is None:
        return {}
    return environment(tomllib.loads(settings.environment_file.read_text("utf-8")))


async def _nobody_listens(_: Pool, __: str) -> None:
    return None
