"""How the items room can fail.

NotFound   ItemUnknown
Invalid    BadItem
"""

from onestop.errors import Invalid, NotFound


class ItemUnknown(NotFound):
    """No item of that code is offered here."""

    code = "item.unknown"


class BadItem(Invalid):
    """An item's file cannot be used; the sentence says which file and why."""

    code = "item.bad"
    who_acts = "operator"
