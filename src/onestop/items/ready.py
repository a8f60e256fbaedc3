"""Items made ready to be used many times: sources and inputs compiled once."""

from typing import Any

from onestop.gateway.mapping.language import Getter, expression
from onestop.items.models import Component, Field, Item

IDENTITY = "identity"  # the want that the sign-in itself answers


class ReadyComponent:
    """A component with its inputs compiled."""

    __slots__ = ("inputs", "optional", "spec")

    def __init__(self, spec: Component) -> None:
        self.spec = spec
        self.inputs: list[tuple[str, Getter]] = [(name, expression(path)) for name, path in spec.inputs.items()]
        self.optional = frozenset(spec.optional)

    def payload(self, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return what the department is handed, and the required inputs that have no value."""
        payload = {name: get(values) for name, get in self.inputs}
        return payload, [n for n, value in payload.items() if value in (None, "") and n not in self.optional]


class ReadyItem:
    """An item with its prefill compiled: wants in the order they are first named."""

    __slots__ = ("by_code", "components", "fields", "licences", "spec", "wants")

    def __init__(self, spec: Item) -> None:
        self.spec = spec
        self.fields: list[tuple[Field, list[tuple[str, Getter]]]] = [
            (field, [(source.want, expression(source.path)) for source in field.sources]) for field in spec.fields
        ]
        self.by_code: dict[str, Field] = {field.code: field for field in spec.fields}
        self.licences = tuple(field for field in spec.fields if field.type == "licence")
        self.components = {component.code: ReadyComponent(component) for component in spec.components}
        named = [source.want for field in spec.fields for source in field.sources]
        self.wants: tuple[str, ...] = tuple(dict.fromkeys(want for want in named if want != IDENTITY))
