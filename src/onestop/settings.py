"""Everything told from outside: one frozen struct, read once, from ONESTOP_* variables."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

import msgspec

from onestop.errors import OnestopError

Profile = Literal["demo", "sandbox", "production"]
SuiteName = Literal["intl", "sm"]


class BadSettings(OnestopError):
    """Something told from outside is missing or cannot be understood; names every one at once."""

    code = "settings.bad"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this installation is set up; every field is documented in docs/settings.md."""

    profile: Profile = "production"
    state_dir: Path = Path("onestop-data")
    database_url: str | None = None  # None: the embedded server in state_dir
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = "http://127.0.0.1:8000"
    region: str = "990100"  # division code that owns the rows written here
    adapters_dir: Path | None = None  # None: the adapters shipped with onestop
    items_dir: Path | None = None  # items of this installation, beside those shipped with onestop
    licence_types_dir: Path | None = None  # licence types of this installation, beside those shipped with onestop
    environment_file: Path | None = None  # where each adapter's system is, and the secrets for it
    files_dir: Path | None = None  # where effects go out and answers come in as files; None: no department does so
    outbound_allow: tuple[str, ...] = ()  # CIDR[:ports] that may be called; empty: nothing
    networks: tuple[Literal["extranet", "intranet", "private"], ...] = ("extranet",)  # whose departments may be called
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    pool_size: int = 16
    budget_ms: int = 2_500  # what a request may take when its caller says nothing
    budget_ceiling_ms: int = 10_000
    admission_limit: int = 128  # requests with a fan-out in flight in one process
    crypto_suite: SuiteName = "intl"  # what seals, indexes and signs; seals of the other one stay readable
    certificate_signature: Literal["ES256", "Ed25519"] = "ES256"  # of the suite intl; sm signs with SM2
    anchor_key_days: int = 90  # how long one key signs the ledger's anchors; 0: until told otherwise
    purposes_file: Path | None = None  # purposes of this installation, over those shipped with onestop
    identity_file: Path | None = None  # sign-in providers: issuer, client id, secret
    client_certificate_header: str | None = None  # in which a proxy tells a caller's certificate; None: no proxy does
    trusted_proxies: tuple[str, ...] = ()  # CIDRs whose certificate header and X-Forwarded-For are believed

    def proxies(self) -> list[IPv4Network | IPv6Network]:
        """Return the networks of the proxies that are believed.

        Raises:
            BadSettings: `trusted_proxies` holds something else than addresses.
        """
        try:
            return [ip_network(told, strict=False) for told in self.trusted_proxies]
        except ValueError as cause:
            raise BadSettings(f"trusted_proxies: {cause}") from cause


_PREFIX = "ONESTOP_"
_LISTS = frozenset({"outbound_allow", "networks", "trusted_proxies"})


def load(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Read the settings: defaults, then ONESTOP_* (or ONESTOP_*_FILE for secrets), then `overrides`.

    Raises:
        BadSettings: a name is unknown or a value cannot be read; every fault is named.
    """
    told: dict[str, Any] = {}
    faults: list[str] = []
    names = set(Settings.__struct_fields__)
    for variable, raw in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        name, value = variable[len(_PREFIX) :].lower(), raw
        if name not in names and name.endswith("_file") and name[:-5] in names:
            name, value = name[:-5], Path(raw).read_text("utf-8").strip()
        if name in names:
            told[name] = value.split(",") if name in _LISTS else value
        elif name not in _READ_ELSEWHERE:
            faults.append(f"{variable} is not a setting")
    told.update({k: v for k, v in overrides.items() if v is not None})
    try:
        settings = msgspec.convert(told, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as fault:
        faults.append(str(fault))
        settings = Settings()
    if faults:
        raise BadSettings("; ".join(faults))
    return settings


# Read by other parts of onestop before there are settings.
_READ_ELSEWHERE = {"pg_bin", "lang", "test_database_url"}


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
