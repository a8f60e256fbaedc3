"""Verbs of the catalogue of licence types: load it, find a type, show it; each type compiled once."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from onestop import clock
from onestop.certificates import rules_licences as rules
from onestop.certificates.errors import BadLicenceType, LicenceTypeUnknown
from onestop.certificates.models_licences import Told
from onestop.certificates.models_types import (
    COMMON,
    Decision,
    LicenceType,
    NamedFields,
    Scene,
    Source,
    TypeList,
    TypeView,
)
from onestop.directory.models import Directory
from onestop.gateway.mapping.language import Getter, MappingFailed, expression
from onestop.resources import read_toml
from onestop.texts import Language, text

log = structlog.get_logger(__name__)
DATA: Final = Path(__file__).parent / "data"
_MOST_TEXT: Final = 500


class ReadyType:
    """A licence type with its expressions compiled."""

    def __init__(self, spec: LicenceType) -> None:
        self.spec = spec
        self.fields = {field.code: field for field in spec.fields}
        self.scenes = {scene.code: scene for scene in spec.scenes}
        self.purposes = {purpose.code: purpose for purpose in spec.purposes}
        self._source = _compiled(spec.source)
        self._decision = _compiled(spec.decision)

    def listed(self, data: dict[str, Any], as_of: datetime, today: date) -> list[Told]:
        """Return the licences of this type that an issuer's answer holds; a record that is none is left out.

        A record without a number, or in a state nobody declared, is left out and logged by its type.
        """
        source = self.spec.source
        assert source is not None
        records = [data] if source.each is None else self._source["each"](data) or []
        found = [self._read(source, record, as_of, today) for record in records]
        return [one for one in found if one is not None]

    def _read(self, source: Source, record: Any, as_of: datetime, today: date) -> Told | None:
        try:
            return self._from_record(source, record, as_of, today)
        except MappingFailed:
            log.warning("licence_record_left_out", type=self.spec.code, lacks="form")
            return None

    def _from_record(self, source: Source, record: Any, as_of: datetime, today: date) -> Told | None:
        get = self._source
        if source.held is not None and get["held"](record) is not True:
            return None
        number, holder = _text(get["number"](record)), _text(get["holder"](record))
        state: Any = "valid" if source.state is None else source.states.get(_text(get["state"](record)))
        if not number or state is None:
            log.warning("licence_record_left_out", type=self.spec.code, lacks="number" if not number else "state")
            return None
        begins = _day(get["valid_from"](record)) if source.valid_from else None
        ends = _day(get["valid_to"](record)) if source.valid_to else None
        return self._told(number, holder, get, record, state, as_of, begins or today, ends)

    def decided(self, values: dict[str, Any], today: date) -> Told | None:
        """Return the licence that a case's completed part makes; None where its number is not there."""
        get = self._decision
        number, holder = _text(get["number"](values)), _text(get["holder"](values))
        if not number:
            log.warning("licence_record_left_out", type=self.spec.code, lacks="number")
            return None
        return self._told(number, holder, get, values, "valid", clock.now(), today, None)

    def _told(
        self, number: str, holder: str, get: dict[str, Getter], record: Any, state: Any, as_of: datetime,
        begins: date, ends: date | None,
    ) -> Told:  # fmt: skip
        values = {name: _text(get[f"fields.{name}"](record)) for name in self.fields if f"fields.{name}" in get}
        if ends is None and self.spec.validity_days is not None:
            ends = begins + timedelta(days=self.spec.validity_days)
        return Told(
            number=number, holder=holder, fields={name: value for name, value in values.items() if value},
            state=state, as_of=as_of, valid_from=begins, valid_to=ends,
        )  # fmt: skip

    def has(self, code: str) -> bool:
        """Tell whether licences of this type say something under a code."""
        return code in COMMON or code in self.fields

    def label(self, code: str, lang: Language) -> str:
        """Return what one of the type's fields, or one that every licence has, is called."""
        return text(f"licence.field.{code}", lang) if code in COMMON else self.fields[code].label.say(lang)


def _compiled(told: Source | Decision | None) -> dict[str, Getter]:
    if told is None:
        return {}
    names = ("number", "holder", "each", "held", "state", "valid_from", "valid_to")
    simple = {name: getattr(told, name, None) for name in names}
    made = {name: expression(source) for name, source in simple.items() if source is not None}
    return made | {f"fields.{name}": expression(source) for name, source in told.fields.items()}


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()[:_MOST_TEXT]


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None


class Types:
    """Every licence type known here, by code."""

    def __init__(self, types: Sequence[LicenceType]) -> None:
        self.ready = {one.code: ReadyType(one) for one in sorted(types, key=lambda one: one.code)}

    def get(self, code: str) -> ReadyType:
        """Return one type.

        Raises:
            LicenceTypeUnknown: none of that code is known.
        """
        found = self.ready.get(code)
        if found is None:
            raise LicenceTypeUnknown(type=code[:40])
        return found

    def sourced(self, codes: Sequence[str] = ()) -> list[ReadyType]:
        """Return the types whose issuers can be asked; of the codes named, or all.

        Raises:
            LicenceTypeUnknown: none of a code is known.
        """
        chosen = [self.get(code) for code in dict.fromkeys(codes)] or list(self.ready.values())
        return [one for one in chosen if one.spec.source is not None]

    def decided_by(self, item: str, component: str) -> list[ReadyType]:
        """Return the types that the completion of a part of this item issues."""
        told = [(one, one.spec.decision) for one in self.ready.values()]
        return [one for one, by in told if by is not None and (by.item, by.component) == (item, component)]


def parse(data: bytes, name: str) -> LicenceType:
    """Read one type's file.

    Raises:
        BadLicenceType: not TOML, an unknown or missing key, a value out of bounds, or parts that do not fit together.
    """
    return read_toml(data, name, LicenceType, _fault, BadLicenceType)


def _fault(read: LicenceType) -> str | None:
    problem = rules.fault(read)
    if problem is None:
        ReadyType(read)  # its expressions can be compiled
    return problem


def load(extra_dirs: Sequence[Path] = ()) -> Types:
    """Read the types shipped with onestop and every `*.toml` of the folders given.

    Raises:
        BadLicenceType: one cannot be used, or two have one code or one type code.
    """
    found: dict[str, LicenceType] = {}
    numbers: set[str] = set()
    for folder in (DATA, *extra_dirs):
        for path in sorted(folder.glob("*.toml")):
            read = parse(path.read_bytes(), path.name)
            if read.code in found or read.type_code in numbers:
                raise BadLicenceType(f"{path.name}: a type {read.code} or {read.type_code} is there already")
            found[read.code] = read
            numbers.add(read.type_code)
    return Types(list(found.values()))


def list_types(types: Types, directory: Directory, lang: Language) -> TypeList:
    """Return the whole catalogue, in order of code."""
    return TypeList(data=[show_type(one, directory, lang) for one in types.ready.values()])


def show_type(ready: ReadyType, directory: Directory, lang: Language) -> TypeView:
    """Return one type as everybody may read it."""
    spec = ready.spec
    return TypeView(
        code=spec.code,
        type_code=spec.type_code,
        kind=spec.kind,
        name=spec.name.say(lang),
        basis=spec.basis.say(lang),
        issuer={"id": spec.issuer, "name": directory.name(spec.issuer, lang)},
        holder=spec.holder,
        validity_days=spec.validity_days,
        max_age_s=spec.max_age_s,
        fields=[
            {"code": one.code, "label": one.label.say(lang), "sensitivity": one.sensitivity, "masked": one.masked}
            for one in spec.fields
        ],
        scenes=[_named(ready, one, lang) for one in spec.scenes],
        purposes=[_named(ready, one, lang) for one in spec.purposes],
        comes_from=_origins(spec),
    )


def _origins(spec: LicenceType) -> list[Literal["department", "decision"]]:
    told: list[Literal["department", "decision"]] = []
    if spec.source is not None:
        told.append("department")
    if spec.decision is not None:
        told.append("decision")
    return told


def _named(ready: ReadyType, seen: Scene, lang: Language) -> NamedFields:
    return NamedFields(
        code=seen.code, name=seen.name.say(lang), fields=[ready.label(code, lang) for code in seen.fields]
    )  # fmt: skip
