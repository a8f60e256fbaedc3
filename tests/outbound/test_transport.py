"""httpx over the pool: its own kinds of error, and none of its habits."""

import asyncio
import datetime
import ipaddress
import ssl
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import ConnectTimeout, OutboundError, TlsFailed
from onestop.outbound.models import Limits
from onestop.outbound.transport import DepartmentTransport, open_client
from outbound.conftest import OpenPool
from outbound.hostile import ASK, CUT_REPLIES, OK, REPLIES, department, dripping, hanging, reply, request, saying

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("calm")]

LOCAL = AllowList(["127.0.0.0/8"])


class Recorder:
    def __init__(self, answer: bytes = OK) -> None:
        self.requests: list[bytes] = []
        self.answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.requests.append(await request(reader))
            writer.write(self.answer)


async def test_a_client_of_httpx_runs_over_the_pool() -> None:
    system = Recorder(reply('{"名": 1}'.encode(), b"Content-Type: application/json"))
    async with department(system) as port, open_client(allow=LOCAL, base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.post("/a/b?c=d e", json={"x": 1}, headers={"X-Key": "k"})
    assert (answer.status_code, answer.json()) == (200, {"名": 1})
    head, _, body = system.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a/b?c=d%20e HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert head.lower().count(b"accept-encoding") == 1
    assert b"\r\nX-Key: k" in head
    assert body == b'{"x":1}'


async def test_an_inflated_body_is_not_inflated_again() -> None:
    import gzip

    async with (
        department(saying(reply(gzip.compress(b"{}"), b"Content-Encoding: gzip"))) as port,
        open_client(allow=LOCAL) as client,
    ):
        assert (await client.get(f"http://127.0.0.1:{port}/")).content == b"{}"


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, system = Recorder(), Recorder()
    async with department(proxy) as proxy_port, department(system) as port:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with open_client(allow=LOCAL) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200
    assert (len(proxy.requests), len(system.requests)) == (0, 1)


async def test_a_password_in_netrc_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    system = Recorder()
    async with department(system) as port, open_client(allow=LOCAL) as client:
        await client.get(f"http://127.0.0.1:{port}/")
    assert b"authorization" not in system.requests[0].lower()


async def test_a_cookie_for_one_citizen_never_goes_out_with_the_next() -> None:
    system = Recorder(reply(b"{}", b"Set-Cookie: canary=citizen-a; Path=/"))
    async with department(system) as port, open_client(allow=LOCAL) as client:
        first = await client.get(f"http://127.0.0.1:{port}/a")
        client.cookies.set("planted", "by-a-caller", domain="127.0.0.1")
        await client.get(f"http://127.0.0.1:{port}/b", headers={"Cookie": "given=1"})
    assert "set-cookie" not in first.headers
    assert dict(first.cookies) == {}
    assert b"cookie" not in b"".join(system.requests).lower()


async def test_a_redirect_is_an_answer() -> None:
    system = Recorder(reply(b"", b"Location: http://127.0.0.1:1/", status=b"307 Temporary Redirect"))
    async with department(system) as port, open_client(allow=LOCAL) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 307
    assert len(system.requests) == 1


async def test_the_time_limit_of_a_call_is_its_total() -> None:
    async with department(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x")) as port:
        for client_s, call_s in ((0.3, None), (5.0, 0.3), (0.3, 5.0)):
            async with open_client(allow=LOCAL, timeout_s=client_s) as client:
                started = time.perf_counter()
                timeout = httpx.USE_CLIENT_DEFAULT if call_s is None else call_s
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(f"http://127.0.0.1:{port}/", timeout=timeout)
                assert 0.28 < time.perf_counter() - started < 1.5


async def test_a_body_that_is_slow_to_produce_counts() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(5)

    async with open_client(allow=LOCAL, timeout_s=0.2) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("http://127.0.0.1:1/", content=slow())


@pytest.mark.parametrize(
    ("raw", "kind", "reason"),
    [
        (REPLIES["a second reply behind the first"][0], httpx.RemoteProtocolError, "surplus"),
        (REPLIES["a gzip bomb"][0], httpx.RemoteProtocolError, "inflated_too_large"),
        (REPLIES["no HTTP but HTML"][0], httpx.RemoteProtocolError, "malformed"),
        (CUT_REPLIES["nothing"][0], httpx.RemoteProtocolError, "closed_early"),
        (CUT_REPLIES["half a body"][0], httpx.RemoteProtocolError, "truncated"),
    ],
)
async def test_a_bad_reply_is_a_protocol_error_with_our_error_as_its_cause(
    raw: bytes, kind: type[Exception], reason: str
) -> None:
    async with department(saying(raw, then_close=True)) as port, open_client(allow=LOCAL) as client:
        with pytest.raises(kind) as caught:
            await client.get(f"http://127.0.0.1:{port}/")
    assert isinstance(caught.value.__cause__, OutboundError)
    assert caught.value.__cause__.reason == reason


async def test_a_reset_is_a_read_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import socket
        import struct

        await reader.read(1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with department(reset) as port, open_client(allow=LOCAL) as client:
        with pytest.raises(httpx.ReadError):
            await client.post(f"http://127.0.0.1:{port}/", content=bytes(100_000))


async def test_what_was_not_sent_has_its_own_kinds() -> None:
    async with department(hanging) as port, open_client(allow=LOCAL, max_connections=1, max_waiting=0) as client:
        url = f"http://127.0.0.1:{port}/"
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://169.254.169.254/latest/meta-data/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")
        with pytest.raises(httpx.LocalProtocolError):
            await client.get(url, headers={"X": "a\r\nCookie: b"})
        with pytest.raises(httpx.LocalProtocolError):
            await client.get(url, headers=[(b"X", "云".encode())])
        holding = asyncio.create_task(client.get(url, timeout=0.3))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(url)
        with pytest.raises(httpx.ReadTimeout):
            await holding


async def test_one_client_reaches_a_few_origins_only() -> None:
    async with department(saying(OK)) as port, open_client(allow=AllowList([f"127.0.0.0/8:{port}"])) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200
        for last in range(2, 9):
            with pytest.raises(httpx.ConnectError):  # nobody listens there
                await client.get(f"http://127.0.0.{last}:{port}/")
        with pytest.raises(httpx.PoolTimeout):
            await client.get(f"http://127.0.0.9:{port}/")


async def test_limits_hold_for_httpx_too() -> None:
    tight = open_client(allow=LOCAL, limits=Limits(wire_bytes=4999))
    async with department(saying(reply(bytes(5000)))) as port, tight as client:
        with pytest.raises(httpx.RemoteProtocolError, match="too_large"):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_an_oauth_client_of_authlib_gets_its_token_over_the_pool() -> None:
    with warnings.catch_warnings(record=True):  # it would rather have httpx2
        from authlib.integrations.httpx_client import AsyncOAuth2Client

    system = Recorder(reply(b'{"access_token": "t", "token_type": "Bearer"}', b"Content-Type: application/json"))
    async with department(system) as port:
        with warnings.catch_warnings(record=True):
            client = AsyncOAuth2Client(
                "id", "secret", transport=DepartmentTransport(allow=LOCAL), trust_env=False, follow_redirects=False
            )
        async with client:
            token = await client.fetch_token(f"http://127.0.0.1:{port}/token", grant_type="client_credentials")
            await client.get(f"http://127.0.0.1:{port}/people")
    assert token["access_token"] == "t"
    assert b"\r\nAuthorization: Bearer t\r\n" in system.requests[1]


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for 127.0.0.1, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "department.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cadata=signed.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


async def test_https_checks_the_certificate_and_the_name(tmp_path: Path, opened: OpenPool) -> None:
    server, trusting = certificate(tmp_path)
    async with department(saying(OK), server) as port:
        async with open_client(allow=LOCAL, tls=trusting) as client:
            assert (await client.get(f"https://127.0.0.1:{port}/")).content == b"hi"
        async with open_client(allow=LOCAL) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get(f"https://127.0.0.1:{port}/")
            assert isinstance(caught.value.__cause__, TlsFailed)
        deadline = asyncio.get_running_loop().time() + 2

        async def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        with pytest.raises(TlsFailed):
            await opened(port, "other.test", tls=trusting, lookup=here).ask(ASK, deadline)


async def test_a_handshake_that_never_ends_is_a_connect_timeout(tmp_path: Path, opened: OpenPool) -> None:
    _, trusting = certificate(tmp_path)
    async with department(hanging) as port:
        with pytest.raises(ConnectTimeout):
            await opened(port, tls=trusting, connect_s=0.2).ask(ASK, asyncio.get_running_loop().time() + 2)

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)
        await reader.read()

    async with department(plain) as port:
        with pytest.raises(TlsFailed):
            await opened(port, tls=trusting).ask(ASK, asyncio.get_running_loop().time() + 2)
