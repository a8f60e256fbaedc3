"""Signatures that a document tells only by names and sentences: the recipe, and what is asked for it."""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

import pytest

from onestop.gateway.auth.kinds import Outgoing, credentials
from onestop.gateway.manifest import HttpSignature, Manifest, Signed, parse
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.importing.rules_signing import digest_of, formula, role_of, stamp_of
from tests.onboarding.importing.conftest import imported

TEXT = {"type": "string"}
SECRETS = {"app_key": "k-1", "app_secret": "s-1", "token": "t-1", "key_id": "id-1", "api_key": "a-1"}


def parameter(name: str, place: str = "header", about: str = "", **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "description": about, "schema": TEXT | schema}


def document(
    parameters: list[dict[str, Any]],
    about: str = "",
    *,
    method: str = "post",
    body: dict[str, Any] | None = None,
    form: str = "application/json",
    more: dict[str, Any] | None = None,
) -> str:
    operation: dict[str, Any] = {
        "operationId": "queryThing", "summary": "Query a thing", "parameters": parameters,
        "responses": {"200": {"content": {"application/json": {"schema": {"properties": {"a": TEXT}}}}}},
    }  # fmt: skip
    if method != "get":
        members = {"idNo": TEXT} | (body or {})
        operation["requestBody"] = {"content": {form: {"schema": {"type": "object", "properties": members}}}}
    told = {"openapi": "3.0.3", "info": {"title": "Thing", "description": about}, "paths": {"/t": {method: operation}}}
    return json.dumps(told | (more or {}))


def read(*args: Any, answers: dict[str, Any] | None = None, **more: Any) -> Imported:
    return imported(document(*args, **more), **{"kind.query_thing": "query"} | (answers or {}))


def manifest(found: Imported) -> Manifest:
    assert found.manifest_toml is not None, found.open
    return parse(found.manifest_toml.encode())


def signed(found: Imported) -> Signed:
    auth = manifest(found).auth
    assert isinstance(auth, Signed)
    return auth


async def _no_exchange(*_: Any) -> Any:
    raise AssertionError("nothing is fetched")


def sent(found: Imported, body: bytes = b'{"idNo":"1"}') -> Outgoing:
    """Sign one request by the manifest that was written."""
    out = Outgoing("POST", "https://a.example", "/t", "b=2", [("Content-Type", "application/json")], body)
    credentials(manifest(found), SECRETS, _no_exchange).apply(out)
    return out


TIF = [parameter(f"x-tif-{name}") for name in ("paasid", "timestamp", "nonce", "signature")]
PLATFORM = [parameter(name, "query") for name in ("appId", "timestamp", "nonceStr", "sign")]


def test_a_formula_that_the_document_spells_out_is_the_recipe() -> None:
    about = "x-tif-timestamp（秒）。x-tif-signature = SHA256(timestamp + token + nonce + timestamp)，十六进制小写。"
    found = read(TIF, about)
    assert not [question.id for question in found.questions if question.id.startswith("auth")]
    out = sent(found)
    stamp, nonce = out.header("x-tif-timestamp"), out.header("x-tif-nonce")
    assert out.header("x-tif-signature") == hashlib.sha256(f"{stamp}t-1{nonce}{stamp}".encode()).hexdigest()
    assert out.header("x-tif-paasid") == "k-1"
    assert set(found.environment) >= {"app_key", "token"}
    (operation,) = manifest(found).operations
    assert operation.request.headers == {}


def test_headers_that_are_only_spoken_of_are_sent_too() -> None:
    about = "请求头 X-App-Id、X-Timestamp（毫秒）、X-Nonce、X-Sign。"
    about += "X-Sign = HMAC-SHA256(secret, appId + timestamp + nonce)，base64"
    auth = signed(read([], about))
    assert auth.headers == {
        "X-App-Id": "{app_key}", "X-Timestamp": "{timestamp_ms}", "X-Nonce": "{nonce}", "X-Sign": "{signature}",
    }  # fmt: skip
    assert auth.base == "{app_key}{timestamp_ms}{nonce}"


def test_headers_of_webhooks_are_no_signature_of_ours() -> None:
    more = {
        "components": {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
        "security": [{"k": []}],
    }
    found = read([], "Our webhooks carry X-Timestamp and X-Signature.", more=more)
    assert manifest(found).auth.__struct_config__.tag == "api_key"


def test_a_moment_that_is_signed_and_never_sent_is_named() -> None:
    answers = {"auth": {"base": "{timestamp}{secret}", "digest": "md5"}}
    found = read([parameter("X-App-Id"), parameter("X-Sign")], answers=answers)
    assert "signed_unsent" in {finding.code for finding in found.findings}


def test_what_the_document_does_not_say_is_asked_and_keeps_the_manifest_from_being_written() -> None:
    found = read(PLATFORM)
    assert set(found.open) == {"auth.base", "auth.digest"}
    assert {q.id for q in found.questions if q.id.startswith("auth")} == {
        "auth.base", "auth.digest", "auth.encoding", "auth.timestamp",
    }  # fmt: skip
    assert found.manifest_toml is None
    answers = {"auth": {"base": "{params}&key={secret}", "digest": "md5", "encoding": "hex_upper"}}
    auth = signed(read(PLATFORM, answers=answers))
    assert (auth.base, auth.digest, auth.encoding) == ("{params}&key={secret}", "md5", "hex_upper")
    assert auth.query == {
        "appId": "{app_key}",
        "timestamp": "{timestamp}",
        "nonceStr": "{nonce}",
        "sign": "{signature}",
    }


def test_an_answer_with_a_place_that_no_recipe_has_is_refused() -> None:
    found = read(PLATFORM, answers={"auth": {"base": "{nothing}{secret}", "digest": "md5"}})
    assert "auth.base" in found.open


def test_sorted_parameters_with_a_key_behind_them() -> None:
    about = "将所有参数按参数名 ASCII 码升序排序，拼成 k1=v1&k2=v2，再拼接 &key=密钥，做 MD5 运算并转成大写。"
    about += "timestamp 为 13 位毫秒。"
    auth = signed(read(PLATFORM, about))
    assert (auth.base, auth.digest, auth.encoding) == ("{params}&key={secret}", "md5", "hex_upper")
    assert auth.query["timestamp"] == "{timestamp_ms}"


def test_a_signature_inside_a_body_needs_more_beside_it_than_a_moment() -> None:
    person = {"signature": TEXT, "timestamp": TEXT}
    assert manifest(read([], body=person)).auth.__struct_config__.tag == "none"
    about = "sign = HMAC-SHA256(appSecret, appKey + timestamp + nonce), hex. timestamp in seconds"
    found = read([], about, body={"appKey": TEXT, "timestamp": TEXT, "nonce": TEXT, "sign": TEXT})
    auth = signed(found)
    assert auth.body == {
        "appKey": "{app_key}", "timestamp": "{timestamp}", "nonce": "{nonce}", "sign": "{signature}",
    }  # fmt: skip
    assert manifest(found).operations[0].request.body == {"idNo": "subject.number"}
    told = json.loads(sent(found).body)
    base = f"k-1{told['timestamp']}{told['nonce']}"
    assert told["sign"] == hmac.new(b"s-1", base.encode(), "sha256").hexdigest()


CA = [
    parameter("X-Ca-Key"), parameter("X-Ca-Timestamp"), parameter("X-Ca-Nonce"), parameter("X-Ca-Signature"),
    parameter("X-Ca-Signature-Headers"), parameter("X-Ca-Signature-Method", enum=["HmacSHA256"]),
    parameter("Content-MD5"),
]  # fmt: skip


def test_the_headers_of_an_api_gateway_bring_its_recipe() -> None:
    found = read(CA)
    out = sent(found)
    assert out.header("x-ca-signature-headers") == "x-ca-key,x-ca-nonce,x-ca-timestamp"
    assert out.header("x-ca-signature-method") == "HmacSHA256"
    assert len(out.header("x-ca-timestamp")) == 13
    base = "\n".join([
        "POST", "application/json", b64encode(hashlib.md5(out.body).digest()).decode(), "application/json", "",
        "x-ca-key:k-1", f"x-ca-nonce:{out.header('x-ca-nonce')}", f"x-ca-timestamp:{out.header('x-ca-timestamp')}",
        "/t?b=2",
    ])  # fmt: skip
    wanted = b64encode(hmac.digest(b"s-1", base.encode(), "sha256")).decode()
    assert out.header("x-ca-signature") == wanted


def test_keys_declared_as_security_take_part_too() -> None:
    names = {"id": "X-App-Id", "time": "X-Timestamp", "sign": "X-Sign", "key": "X-API-Key"}
    more = {
        "components": {"securitySchemes": {n: {"type": "apiKey", "in": "header", "name": h} for n, h in names.items()}},
        "security": [{key: [] for key in names}],
    }
    about = "X-Sign is HMAC-SHA256 over string to sign: appId + timestamp + body. Base64. Seconds."
    auth = signed(read([], about, more=more))
    assert auth.base == "{app_key}{timestamp}{body}"
    assert auth.headers == {
        "X-App-Id": "{app_key}", "X-Timestamp": "{timestamp}", "X-Sign": "{signature}", "X-API-Key": "{secret.api_key}",
    }  # fmt: skip


def test_a_bearer_token_stays_what_it_is_beside_such_parameters() -> None:
    more = {"components": {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}, "security": [{"b": []}]}
    found = read(PLATFORM, more=more)
    assert manifest(found).auth.__struct_config__.tag == "api_key"
    assert "signed_guess" in {finding.code for finding in found.findings}


def test_an_http_signature_of_the_draft_is_a_recipe() -> None:
    shown = 'keyId="k",algorithm="rsa-sha256",headers="(request-target) date digest",signature="…"'
    found = read([parameter("Signature", about=shown), parameter("Digest"), parameter("Date")])
    auth = signed(found)
    assert auth.base == "\n".join((
        "(request-target): {method_lower} {target}", "date: {date}", "digest: SHA-256={body_sha256_b64}",
    ))  # fmt: skip
    assert (auth.digest, auth.encoding) == ("rsa-sha256", "base64")
    assert auth.headers["Digest"] == "SHA-256={body_sha256_b64}"
    assert auth.headers["Signature"].startswith(
        'keyId="{secret.key_id}",algorithm="rsa-sha256",headers="(request-target)'
    )
    assert set(found.environment) >= {"key_id", "sign_key"}


def test_a_signed_header_that_names_the_call_is_sent_once() -> None:
    shown = 'keyId="k",algorithm="rsa-sha256",headers="digest x-request-id"'
    found = read([parameter("Signature", about=shown), parameter("X-Request-ID", format="uuid")])
    assert signed(found).headers["X-Request-ID"] == "{uuid}"
    assert manifest(found).always.headers == {}
    assert manifest(found).operations[0].request.headers == {}


def test_message_signatures_are_known_by_their_input() -> None:
    shown = 'sig2=("@method" "@path" "content-digest");created=1;keyid="k";alg="ed25519"'
    found = read([parameter("Signature-Input", about=shown), parameter("Signature"), parameter("Content-Digest")])
    auth = manifest(found).auth
    assert isinstance(auth, HttpSignature)
    assert (auth.algorithm, auth.label, auth.components) == ("ed25519", "sig2", ("@method", "@path", "content-digest"))
    assert "auth.algorithm" in read([parameter("Signature-Input"), parameter("Signature")]).open


@pytest.mark.parametrize(
    ("name", "header", "role"),
    [
        ("x-tif-paasid", True, "app"), ("X-Ca-Signature-Headers", True, "covered"), ("signType", False, "method"),
        ("noncestr", False, "nonce"), ("X-Content-SHA256", True, "digest"), ("billSign", False, None),
        ("contractTimestamp", False, None), ("X-Request-Id", True, None), ("a-" * 40_000 + "sign", True, None),
    ],
)  # fmt: skip
def test_a_role_is_known_by_the_whole_name_or_a_headers_end(name: str, header: bool, role: str | None) -> None:
    assert role_of(name, header=header) == role


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("HmacSHA256", "hmac-sha256"), ("SHA256withRSA", "rsa-sha256"), ("采用 SM3 摘要", "sm3"),
        ("HMAC-SM3", "hmac-sm3"),
        ("MD5 or SHA256", None), ("Content-MD5 and HMAC-SHA1", "hmac-sha1"), ("nothing", None), ("RSA2", "rsa-sha256"),
    ],
)  # fmt: skip
def test_one_algorithm_named_is_taken_and_two_are_not(text: str, digest: str | None) -> None:
    assert digest_of(text) == digest


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("md5(appid + timestamp + secret)", "{app_key}{timestamp}{secret}"),
        ("MD5(appid=xx&timestamp=xx&key=xx)", "appid={app_key}&timestamp={timestamp}&key={secret}"),
        ('sha256(method + "\\n" + path + "\\n" + body)', "{method}\n{path}\n{body}"),
        ("md5(appid + something + secret)", None),
        ("md5(body)", None),
        ("签名原文：时间戳+随机数+请求体", "{timestamp}{nonce}{body}"),
        ("参数按字典序排序后首尾加上密钥", "{secret}{params}{secret}"),
    ],
)
def test_a_formula_is_taken_whole_or_not_at_all(text: str, base: str | None) -> None:
    found = formula(text, {"appid": "{app_key}"})
    assert (found.base if found else None) == base


@pytest.mark.parametrize(
    ("text", "example", "told"),
    [
        ("毫秒", None, "milliseconds"), ("", 1700000000, "seconds"), ("", "20250115083000", "yyyyMMddHHmmss"),
        ("HTTP-date", None, "http-date"), ("", None, None), ("yyyy-MM-dd HH:mm:ss", None, "yyyy-MM-dd HH:mm:ss"),
    ],
)  # fmt: skip
def test_how_a_moment_is_written_is_read_from_words_and_examples(text: str, example: Any, told: str | None) -> None:
    assert stamp_of(text, example, "string", "") == told
