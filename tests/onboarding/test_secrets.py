from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from onestop.gateway.places import Value, choose, place_of
from onestop.onboarding import rules, service_secrets
from onestop.onboarding.errors import (
    ChecklistOpen,
    PlaceIsLive,
    PlaceNotAllowed,
    SecretUnreadable,
    ThingAbsent,
    TooManySecrets,
)
from tests.onboarding.conftest import LIN, ONE, TWO, certificate

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest", "outside"),
        ("http://10.1.2.3:8080", "outside"),
        ("https://user:word@127.0.0.1", "form"),
        ("ftp://127.0.0.1", "form"),
        ("http://127.0.0.1:99999", "form"),
        ("http://no-such-host.invalid", "unknown_name"),
    ],
)
async def test_an_address_outside_the_allow_list_is_refused_in_words(room, url, reason):
    with pytest.raises(PlaceNotAllowed) as refusal:
        await service_secrets.check_place(room.life, url)
    assert refusal.value.params["reason"] == reason


@pytest.mark.parametrize("more", [{"replicas": ["http://10.1.2.3"]}, {"token_url": "http://10.1.2.3/token?realm=x"}])
async def test_every_address_of_a_place_must_be_allowed(room, more):
    await room.push(ONE)
    with pytest.raises(PlaceNotAllowed) as refusal:
        await room.place("one", "http://127.0.0.1:9", **more)
    assert refusal.value.params["reason"] == "outside"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "HTTP://127.0.0.1:9/", "http://127.0.0.1:7", "http://127.0.0.1:6/base/"]
)
async def test_the_test_systems_address_is_never_the_live_ones(room, told, tmp_path, url):
    await room.push()
    (tmp_path / "environment.toml").write_text('[adapters.one]\nurl = "http://127.0.0.1:6/base"\n')
    life = room.life
    life.settings = msgspec.structs.replace(told, environment_file=tmp_path / "environment.toml")
    await room.place("one", "http://127.0.0.1:9", replicas=["http://127.0.0.1:7"])

    async def set_place(environment, at):
        place = service_secrets.SetPlace(url=at)
        await life.commit(lambda db: service_secrets.set_place(life, db, ONE, "one", environment, place))

    with pytest.raises(PlaceIsLive):
        await set_place("sandbox", url)
    await set_place("sandbox", "http://127.0.0.1:9/test")
    with pytest.raises(PlaceIsLive):
        await set_place("live", "http://127.0.0.1:9/test")


async def test_a_place_told_by_api_holds_all_that_an_environment_file_may_tell(room, told, keys):
    await room.push(ONE)
    more = {
        "replicas": ["http://127.0.0.1:8"],
        "token_url": "http://127.0.0.1:7/token?realm=x",
        "config": {"tenant": "t"},
    }
    await room.place("one", "http://127.0.0.1:9", **more)
    where = await place_of(room.pool, keys, told, "one", "live")
    assert (where.url, where.replicas, where.token_url, where.config) == (
        "http://127.0.0.1:9", ("http://127.0.0.1:8",), "http://127.0.0.1:7/token?realm=x", {"tenant": "t"},
    )  # fmt: skip
    [shown] = (await service_secrets.listed(room.life, ONE, "one")).places
    assert (shown.replicas, shown.token_url, shown.config) == (more["replicas"], more["token_url"], more["config"])
    await room.place("one", "http://127.0.0.1:9")
    assert (await place_of(room.pool, keys, told, "one", "live")).token_url is None, "replaced whole"


async def test_what_a_place_does_not_tell_stays_as_the_environment_file_says(room, told, keys, tmp_path):
    file = tmp_path / "environment.toml"
    file.write_text(
        '[adapters.one]\nurl = "http://127.0.0.1:1"\nreplicas = ["http://127.0.0.1:2"]\n'
        'token_url = "http://127.0.0.1:3/t"\nconfig = { tenant = "t", area = "a" }\n'
    )
    here = msgspec.structs.replace(told, environment_file=file)
    await room.push(ONE)
    await room.place("one", "http://127.0.0.1:9", config={"area": "b"})
    where = await place_of(room.pool, keys, here, "one", "live")
    assert (where.replicas, where.token_url) == (("http://127.0.0.1:2",), "http://127.0.0.1:3/t")
    assert (where.url, where.config) == ("http://127.0.0.1:9", {"tenant": "t", "area": "b"})
    await room.place("one", "http://127.0.0.1:9", replicas=[])
    assert (await place_of(room.pool, keys, here, "one", "live")).replicas == ()


async def test_what_is_over_is_not_taken_and_what_cannot_be_read_neither(room):
    await room.push(ONE)
    for value in (certificate(-1), "-----BEGIN CERTIFICATE-----\nnonsense"):
        with pytest.raises(SecretUnreadable):
            await room.secret("client_cert", value)
    with pytest.raises(SecretUnreadable):
        await room.secret("api_key", "k", not_after=datetime.now(UTC) - timedelta(seconds=1))


async def test_an_expired_certificate_blocks_promotion_and_a_new_one_lets_it_go_on(room):
    made = await room.approved()
    await room.place("one", "http://127.0.0.1:9")
    old = await room.secret("client_cert", certificate(20))
    await room.pool.execute("UPDATE adapter_secrets SET not_after = now() - interval '1 day'")
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(ONE, made, "trial", numbers=[LIN])
    assert [error.code for error in refusal.value.errors] == ["adapter.certificates"]
    await room.secret("client_cert", certificate(300))
    assert (await room.move(ONE, made, "trial", numbers=[LIN])).state == "trial"
    assert old.certificate


async def test_two_values_hold_at_once_and_a_third_is_refused(room, told, keys):
    await room.push(ONE)
    await room.place("one", "http://127.0.0.1:9")
    first = await room.secret("callback_secret", "old-secret")
    later = datetime.now(UTC) + timedelta(hours=1)
    await room.secret("callback_secret", "new-secret", not_before=later)
    with pytest.raises(TooManySecrets) as refusal:
        await room.secret("callback_secret", "third")
    assert first.id in refusal.value.params["ids"]
    where = await place_of(room.pool, keys, told, "one", "live")
    assert where.secrets["callback_secret"] == "old-secret"
    assert where.secrets["next_callback_secret"] == "new-secret"
    await room.life.commit(lambda db: service_secrets.remove_secret(room.life, db, ONE, "one", first.id))
    where = await place_of(room.pool, keys, told, "one", "live")
    assert where.secrets["callback_secret"] == "new-secret"
    with pytest.raises(ThingAbsent):
        await room.life.commit(lambda db: service_secrets.remove_secret(room.life, db, ONE, "one", first.id))


async def test_a_value_is_never_shown_and_lies_sealed(room):
    await room.push(ONE)
    await room.secret("api_key", "very-secret-word")
    await room.push(TWO, None, name="two")
    await room.secret("api_key", "very-secret-word", TWO, "two")
    shown = await service_secrets.listed(room.life, ONE, "one")
    assert "very-secret-word" not in repr(shown)
    stored = await room.pool.fetchval("SELECT string_agg(s::text, ' ') FROM adapter_secrets s")
    notices = await room.pool.fetchval("SELECT string_agg(n::text, ' ') FROM adapter_notices n")
    for text in (stored, notices):
        assert "very-secret-word" not in text
        assert b"very-secret-word".hex() not in text
    assert shown.data[0].fingerprint in notices


def test_we_sign_with_the_newest_that_has_begun_and_believe_what_is_about_to():
    def value(text, begins, ends=None):
        return Value("k", text, NOW + timedelta(days=begins), None if ends is None else NOW + timedelta(days=ends))

    assert choose([value("a", -9), value("b", 1)], NOW) == {"k": "a", "next_k": "b"}
    assert choose([value("a", -9), value("b", -1)], NOW) == {"k": "b", "next_k": "a"}
    assert choose([value("a", -9, -1), value("b", -5)], NOW) == {"k": "b"}
    assert choose([value("a", -9, -1)], NOW) == {"k": "a"}
    assert choose([value("b", 1)], NOW) == {"k": "b"}


@pytest.mark.parametrize(("days", "due"), [(90, None), (31, None), (29, 30), (6, 7), (1, 1), (-1, 0)])
def test_warnings_come_thirty_seven_and_one_day_before(days, due):
    assert rules.warning_days(NOW + timedelta(days=days), NOW) == due
