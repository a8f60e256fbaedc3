"""Verbs of the items room: load the items, find one, show its guide."""

from collections.abc import Sequence
from pathlib import Path

from onestop.directory.models import Directory
from onestop.items import rules
from onestop.items.errors import BadItem, ItemUnknown
from onestop.items.models import (
    Component,
    ComponentView,
    Field,
    FieldView,
    Item,
    ItemBrief,
    ItemGuide,
    ItemList,
    Named,
    Term,
)
from onestop.items.ready import IDENTITY, ReadyItem
from onestop.resources import read_toml
from onestop.texts import text

DATA = Path(__file__).parent / "data"


class Catalogue:
    """Every item offered here, by code."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = {item.code: ReadyItem(item) for item in items}

    def get(self, code: str) -> ReadyItem:
        """Return one item.

        Raises:
            ItemUnknown: none of that code is offered.
        """
        found = self.items.get(code)
        if found is None:
            raise ItemUnknown(f"no item {code!r}")
        return found


def parse(data: bytes, name: str) -> Item:
    """Read one item's file.

    Raises:
        BadItem: not TOML, an unknown or missing key, a value out of bounds, or parts that do not fit together.
    """
    return read_toml(data, name, Item, _fault, BadItem)


def _fault(item: Item) -> str | None:
    problem = rules.fault(item)
    if problem is None:
        ReadyItem(item)  # its schema can be compiled
    return problem


def load(extra_dirs: Sequence[Path] = ()) -> Catalogue:
    """Read the items shipped with onestop and every `*.toml` of the folders given.

    Raises:
        BadItem: one cannot be used, or two have one code.
    """
    found: dict[str, Item] = {}
    for folder in (DATA, *extra_dirs):
        for path in sorted(folder.glob("*.toml")):
            item = parse(path.read_bytes(), path.name)
            if item.code in found:
                raise BadItem(f"{path.name}: item {item.code} is there already")
            found[item.code] = item
    return Catalogue(list(found.values()))


def search(catalogue: Catalogue, directory: Directory, query: str, lang: str, limit: int = 20) -> ItemList:
    """Return the items that answer a search, best first; all of them where nothing is asked."""
    scored = [(rules.score(ready.spec, query), ready.spec) for ready in catalogue.items.values()]
    hits = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], pair[1].code))
    return ItemList(data=[_brief(item, directory, lang) for _, item in hits[:limit]], has_more=len(hits) > limit)


def guide(
    catalogue: Catalogue, directory: Directory, code: str, lang: str, wants: dict[str, str] | None = None
) -> ItemGuide:
    """Return the public guide of one item; `wants` says which adapter answers a want.

    Raises:
        ItemUnknown: none of that code is offered.
    """
    item = catalogue.get(code).spec
    return ItemGuide(
        code=item.code,
        kind=item.kind,
        name=item.name.say(lang),
        plain=item.plain.say(lang),
        basis=item.basis.say(lang),
        lead=_named(item.lead, directory, lang),
        visits=item.visits,
        fee_fen=item.fee_fen,
        promised=Term(item.promised_days),
        legal=Term(item.legal_days),
        min_level=item.min_level,
        figures=item.figures,
        questions=[{"code": q.code, "label": q.label.say(lang)} for q in item.questions],
        fields=[_field(field, directory, lang, wants or {}) for field in item.fields],
        components=[_component(component, directory, lang) for component in item.components],
        declarations=list(item.declarations),
        links={"start": "/v1/cases"},
    )


def _named(adapter: str, directory: Directory, lang: str) -> Named:
    return Named(adapter, directory.name(adapter, lang))


def _brief(item: Item, directory: Directory, lang: str) -> ItemBrief:
    adapters = dict.fromkeys((item.lead, *(component.adapter for component in item.components)))
    return ItemBrief(
        code=item.code,
        kind=item.kind,
        name=item.name.say(lang),
        plain=item.plain.say(lang),
        lead=_named(item.lead, directory, lang),
        departments=[_named(adapter, directory, lang) for adapter in adapters],
        visits=item.visits,
        fee_fen=item.fee_fen,
        promised=Term(item.promised_days),
        legal=Term(item.legal_days),
        links={"guide": f"/v1/items/{item.code}"},
    )


def _field(field: Field, directory: Directory, lang: str, wants: dict[str, str]) -> FieldView:
    sources = []
    for source in field.sources:
        if source.want == IDENTITY:
            sources.append(Named(IDENTITY, text("items.identity", lang)))  # type: ignore[arg-type]
        else:
            sources.append(_named(wants.get(source.want, source.want), directory, lang))
    return FieldView(
        code=field.code,
        type=field.type,
        label=field.label.say(lang),
        required=field.required,
        hint=field.hint.say(lang) if field.hint else None,
        sources=sources,
        choices=[{"code": choice.code, "label": choice.say(lang)} for choice in field.choices],
        when=field.when,
        licence=field.licence,
    )


def _component(component: Component, directory: Directory, lang: str) -> ComponentView:
    return ComponentView(
        code=component.code,
        name=component.name.say(lang),
        department=_named(component.adapter, directory, lang),
        promised=Term(component.days),
        needs=list(component.needs),
        when=component.when,
    )
