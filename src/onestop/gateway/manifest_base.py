"""The types that every part of a manifest is made of."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from onestop.errors import Actor, Invalid

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Version = Annotated[str, Meta(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")]
Seconds = Annotated[float, Meta(gt=0, le=60)]
Division = Annotated[str, Meta(pattern=r"^\d{6}$")]
Path = Annotated[str, Meta(pattern=r"^/[^\s?#]*$", max_length=200)]
Expression = Annotated[str, Meta(max_length=200)]
# A text with {places} that an authentication recipe fills; docs/manifest.md lists them.
Recipe = Annotated[str, Meta(max_length=1000)]
Tree = dict[str, Any]  # the leaves are expressions: see mapping.py
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Sensitivity = Literal["public", "personal", "sensitive"]
Network = Literal["extranet", "intranet", "private"]  # 政务外网 · 政务内网 · 业务专网


class BadManifest(Invalid):
    """A manifest cannot be used; the sentence says which file and why, `rule` which of the linter's rules it breaks."""

    code = "manifest.bad"
    who_acts: ClassVar[Actor] = "department"

    def __init__(self, sentence: str = "", *, rule: str = "ADP-001") -> None:
        super().__init__(sentence)
        self.rule = rule


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the manifest; an unknown key is a mistake."""


class Words(Strict, frozen=True, kw_only=True):
    """A text in both languages."""

    zh: str
    en: str
