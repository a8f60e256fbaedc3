"""Whose an adapter is: one rule for everything a department sees or fetches as its own."""

from collections.abc import Mapping

from onestop.gateway.manifest import Manifest


def owned_by(department: str | None, manifests: Mapping[str, Manifest], owners: Mapping[str, str]) -> frozenset[str]:
    """Return the adapters of a department, which is named as their owner or by its own code; empty for None.

    `owners` is what onboarding wrote, and it decides: to be called like an adapter is nothing where it names another.
    An adapter that is only a file belongs to the department of its name, and to whose other adapters have its code.
    """
    if not department:
        return frozenset()
    own = {adapter for adapter, owner in owners.items() if owner == department}
    if owners.get(department, department) == department:
        own.add(department)
    codes = {manifests[adapter].department.code for adapter in own if adapter in manifests}
    for adapter, manifest in manifests.items():
        code = manifest.department.code
        if code == department or (adapter not in owners and code in codes):
            own.add(adapter)
    return frozenset(own)
