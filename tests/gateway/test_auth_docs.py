"""What docs/authentication.md shows can be used, and its table of places is the code's."""

import re
import tomllib

import pytest

from house.pages import DOCS, blocks, rows, section
from onestop.gateway.auth.callbacks import callback_check
from onestop.gateway.auth.kinds import always, credentials
from onestop.gateway.auth.needs import needs
from onestop.gateway.auth.recipes import PLACES
from onestop.gateway.auth.tls import tls_context
from onestop.gateway.line import environment
from onestop.gateway.manifest import BadManifest
from onestop.gateway.manifest_auth import Auth
from onestop.gateway.operations import prepare
from tests.gateway.keys import cert_pem, certificate, ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import OPERATIONS, manifest

PAGE = DOCS / "authentication.md"
SHOWN = blocks(PAGE, "toml")
CONFIG = dict.fromkeys(("version", "user", "kid", "paasid"), "x")


def told(text):
    """Return secrets of the kinds that a fragment needs."""
    own = rsa_key() if "rsa" in text else ed_key() if "ed25519" in text else ec_key()
    names = (
        "api_key",
        "username",
        "password",
        "subscription_key",
        "client_id",
        "jwt_key",
        "token",
        "app_key",
        "key_id",
    )
    plain = dict.fromkeys((*names, "app_secret"), "s" * 32)
    webhook = "whsec_" + "A" * 32
    keys = {"sign_key": pem(own), "client_key": pem(ec_key()), "decrypt_key": pem(ec_key()), "sm4_key": "00" * 16}
    theirs = {"callback_key": public_pem(ec_key()), "verify_key": public_pem(ec_key()), "sm4_iv": "00" * 16}
    issuer = certificate(ec_key(), "authority")
    tls = {"ca": cert_pem(issuer), "client_cert": cert_pem(issuer), "client_cert_key": pem(ec_key())}
    return plain | keys | theirs | tls | {"callback_secret": webhook}


def shown(text):
    """Return the manifest that a fragment is of."""
    if "protection]" not in text:
        return manifest(text)
    parts = re.sub(r"^\[(\w+)\.protection\]", r"[operations.\1.protection]", text, flags=re.M)
    return manifest("", operations=OPERATIONS.partition('\n[[operations]]\nid = "form"')[0] + parts)


def opens(read, secrets, config=CONFIG):
    prepare(read, secrets)
    credentials(read, secrets, None, config=config)
    always(read, secrets, config)
    callback_check(read, secrets, config)
    tls_context(read, secrets)


EXAMPLES = [text for text in SHOWN if not text.startswith("[adapters")]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_opens_with_what_it_needs_and_not_with_less(text):
    read, all_told = shown(text), told(text)
    needed = needs(read)
    secrets = {name: all_told[name] for name in needed.secrets}
    constants = {name: CONFIG[name] for name in needed.config}
    opens(read, secrets, constants)
    for name in needed.secrets:
        with pytest.raises(BadManifest, match=name):
            opens(read, {other: value for other, value in secrets.items() if other != name}, constants)
    for name in needed.config:
        with pytest.raises(BadManifest, match=f"lacks '{name}'"):
            opens(read, secrets, {other: "x" for other in needed.config if other != name})


def test_the_environments_example_is_read():
    where = environment(tomllib.loads(SHOWN[0]))["gongan"]
    assert where.config == {"office": "7"}
    assert where.token_url.startswith("https://sso")
    assert set(where.secrets) == {"client_id", "client_secret"}


def test_every_kind_has_its_example():
    kinds = {kind.__struct_config__.tag for kind in Auth.__args__}
    assert {kind for kind in kinds if not any(f'kind = "{kind}"' in text for text in SHOWN)} == set()


def test_the_table_of_places_is_the_codes():
    named = {name for row in rows(section(PAGE, "Places")) for name in re.findall(r"\{([a-z_0-9]+)\}", row[0])}
    assert named == set(PLACES)
