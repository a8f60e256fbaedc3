"""What a good answer is compared with: the schema, the examples' shape, the fields that examples fill."""

from collections.abc import Sequence
from typing import Any

import jsonschema_rs

from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.operations import Prepared
from onestop.onboarding.drift_shapes import Shape, compare, learn, mapped_paths
from onestop.onboarding.simulator_examples import Recorded, as_reply

_MOST_FAULTS = 20


def _nothing_is_fetched(uri: str) -> Any:
    raise ValueError(f"{uri[:100]}: a schema must be whole; nothing is fetched")


def schema_faults(schema: dict[str, Any], trees: Sequence[Any]) -> list[str]:
    """Return where answers are not as their schema says, without a word of their content."""
    try:
        validator = jsonschema_rs.validator_for(schema, retriever=_nothing_is_fetched)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as fault:
        return [f"schema: {type(fault).__name__}"]
    found: dict[str, None] = {}
    for tree in trees:
        for error in validator.iter_errors(tree):
            at = "/".join(str(step) for step in error.instance_path) or "."
            rule = "/".join(str(step) for step in list(error.schema_path)[-1:])
            found[f"{at}: {rule}"] = None
            if len(found) >= _MOST_FAULTS:
                return list(found)
    return list(found)


def differences(manifest: Manifest, operation: Operation, recorded: Sequence[Any], trees: Sequence[Any]) -> list[str]:
    """Return in which parts that the manifest reads answers are shaped otherwise than the examples."""
    xml = operation.response_codec in ("xml", "soap")
    base: Shape = learn(recorded, xml=xml)
    read = mapped_paths(operation)
    found: dict[str, None] = {}
    for tree in trees:
        for part in compare(base, tree, xml=xml):
            if part.kind in ("type_changed", "format_changed", "vanished") and part.path in read:
                found[f"{part.path}: {part.kind} ({part.expected} → {part.got})"] = None
    # What is missing in one answer and there in another is a member that may be missing.
    there = set().union(*(learn([tree], xml=xml).members for tree in trees), set())
    return [text for text in found if "vanished" not in text or text.partition(":")[0] not in there]


def mapped(prepared: Prepared, example: Recorded) -> set[str]:
    """Return the fields that an example fills; not the mark of the next page, which the last page has not."""
    answer = prepared.answer(as_reply(example.status, example.headers, example.body), None)
    rules, fields = prepared.spec.paging, prepared.spec.reply.fields
    marks = {name for name, source in fields.items() if rules is not None and source == rules.next}
    return _names(answer.fields or {}) - unfilled([answer.fields or {}]) - marks


def unfilled(records: Sequence[dict[str, Any]]) -> set[str]:
    """Return the fields, also inside lists' records, that none of several answers fills."""
    names = set().union(*(_names(record) for record in records), set())
    filled = set().union(*(_filled(record) for record in records), set())
    return names - filled


def _names(value: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, part in value.items() if isinstance(value, dict) else ():
        found |= {prefix + name} | _names(part[0] if isinstance(part, list) and part else part, f"{prefix}{name}.")
    return found


def _filled(value: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, part in value.items() if isinstance(value, dict) else ():
        if part not in (None, "", [], {}):
            found.add(prefix + name)
        for record in part if isinstance(part, list) else [part]:
            found |= _filled(record, f"{prefix}{name}.")
    return found
