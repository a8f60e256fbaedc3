"""How a department knows us, and how its messages are protected: the manifest's `[auth]`, `[tls]` and `protection`.

Every secret is named here and told per environment, never in the manifest. A recipe's {places} are: {secret.<name>}
any secret, {config.<name>} any constant of the environment, {timestamp} seconds, {timestamp_ms}, {time(<strftime>)}
China Standard Time, {time_utc(<strftime>)}, {date} as HTTP writes it, {nonce} 24 hex digits, {uuid}, {method},
{method_lower}, {path}, {query} as sent, {target} path and query, {host}, {url} scheme, host and path, {body} as it is
when it is signed, {body_sha256} {body_sha256_b64} {body_md5} {body_md5_b64} {body_sm3}, {params} see `Params`, {token}
of a login, and in what is sent, {signature}. The words {app_key} and {secret} stand for {secret.app_key} and
{secret.app_secret}. A brace that means itself is written twice.
"""

from typing import Annotated, Literal

from msgspec import Meta

from onestop.gateway.manifest_base import Expression, Path, Recipe, Strict

# Plain hashes are for recipes that hash the secret into the base text, as older platforms do.
Digest = Literal[
    "hmac-sha256", "hmac-sha1", "hmac-sha512", "hmac-md5", "hmac-sm3",
    "sha256", "sha1", "sha512", "md5", "sm3",
    "rsa-sha256", "rsa-sha1", "rsa-pss-sha256", "ecdsa-sha256", "ed25519", "sm2-sm3",
]  # fmt: skip
Encoding = Literal["hex", "hex_upper", "base64", "base64url"]
Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"]
MessageAlgorithm = Literal["hmac-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256", "ecdsa-p256-sha256", "ed25519"]
TokenLife = Annotated[int, Meta(ge=10, le=3600)]


class NoAuth(Strict, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """The system asks for nothing, or for a client certificate only (`[tls]`)."""


class ApiKey(Strict, frozen=True, kw_only=True, tag_field="kind", tag="api_key"):
    """A fixed key; secret `api_key`."""

    place: Literal["header", "query", "form", "json"]  # form and json: a member of the body
    name: str
    prefix: str = ""  # "Bearer ", "Token ", …


class Basic(Strict, frozen=True, kw_only=True, tag_field="kind", tag="basic"):
    """HTTP Basic; secrets `username`, `password`."""


class ClientCredentials(Strict, frozen=True, kw_only=True, tag_field="kind", tag="oauth2_client_credentials"):
    """OAuth 2 client credentials; secrets `client_id` and what `client_auth` needs.

    basic, post: `client_secret`; client_secret_jwt: `client_secret`; private_key_jwt: `client_key` (PEM or JWK);
    tls: the client certificate of `[tls]`.
    """

    token_path: Path = "/oauth/token"  # below the system's address, unless the environment tells a `token_url`
    scope: str = ""
    audience: str | None = None  # sent as `audience`
    resource: str | None = None  # sent as `resource` (RFC 8707)
    client_auth: Literal["basic", "post", "client_secret_jwt", "private_key_jwt", "tls"] = "basic"
    algorithm: Algorithm = "ES256"  # of the client's assertion
    assertion_audience: str | None = None  # None: the token endpoint's address
    extra: dict[str, str] = {}  # further members of the token request


class SelfSigned(Strict, frozen=True, kw_only=True, tag_field="kind", tag="self_signed_jwt"):
    """A JWT of our own as bearer, made anew for each request; secret `jwt_key` (PEM, JWK, or a text for HS…)."""

    algorithm: Algorithm
    claims: dict[str, Recipe] = {}  # beside iat, exp and jti; texts, but {timestamp} alone is a number
    headers: dict[str, Recipe] = {}  # JOSE headers beside alg: kid, typ
    life_s: TokenLife = 60
    header: str = "Authorization"
    prefix: str = "Bearer "


class Login(Strict, frozen=True, kw_only=True, tag_field="kind", tag="login"):
    """A call that gives a token, used until it expires or is refused."""

    method: Literal["GET", "POST"] = "POST"
    path: Path
    codec: Literal["none", "json", "form"] = "json"
    request_headers: dict[str, Recipe] = {}
    request_query: dict[str, Recipe] = {}
    request_body: dict[str, Recipe] = {}
    token: Expression  # over the answer's body
    expires_s: float = 1500.0  # where the answer does not say
    expires_in: Expression | None = None  # over the answer's body: seconds
    headers: dict[str, Recipe] = {}  # how each request carries the {token}
    query: dict[str, Recipe] = {}
    body: dict[str, Recipe] = {}  # members of a JSON or form body


class Params(Strict, frozen=True, kw_only=True):
    """The text {params}: name and value of every parameter, in order of name, as app platforms sign them."""

    of: tuple[Literal["query", "body", "auth"], ...] = ("query", "body", "auth")  # auth: what the recipe itself adds
    leave_out: tuple[str, ...] = ("sign", "signature")
    skip_empty: bool = True
    pair: str = "{name}={value}"  # or {name_encoded}, {value_encoded}: percent-encoded as RFC 3986 says
    join: str = "&"
    extra: dict[str, Recipe] = {}  # further parameters that are signed with those of `auth` but sent elsewhere


class Signed(Strict, frozen=True, kw_only=True, tag_field="kind", tag="signed"):
    """A signature over a declared base text. Secrets: `app_key`, and `app_secret` (hmac-…) or `sign_key` (PEM, JWK).

    A plain hash (`sha256`, `md5`, `sm3`) takes the secret from the base text: {secret} or {secret.<name>}. sm2-sm3
    needs the optional package of `onestop[gm]`, and `sign_key` and `sign_public_key` in hex.
    """

    base: Recipe
    digest: Digest = "hmac-sha256"
    encoding: Encoding = "hex"
    headers: dict[str, Recipe] = {}
    query: dict[str, Recipe] = {}
    # Members added to a JSON or form body, before it is signed where they lack {signature}.
    body: dict[str, Recipe] = {}
    params: Params = Params()


class HttpSignature(Strict, frozen=True, kw_only=True, tag_field="kind", tag="http_signature"):
    """HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530); secret `sign_key` or `app_secret`."""

    algorithm: MessageAlgorithm
    key_id: Recipe = "{secret.key_id}"
    label: str = "sig1"
    components: tuple[str, ...] = ("@method", "@target-uri", "content-digest", "content-type")  # absent ones left out
    expires_s: TokenLife | None = 300
    nonce: bool = True
    tag: str | None = None


class WsSecurity(Strict, frozen=True, kw_only=True, tag_field="kind", tag="ws_security"):
    """A UsernameToken in the SOAP header; secrets `username`, `password`."""

    password: Literal["text", "digest"] = "text"
    timestamp: bool = True


class OnestopToken(Strict, frozen=True, kw_only=True, tag_field="kind", tag="onestop_token"):
    """A token of the portal's own for each call, which the department checks with the portal's JWKS; no secret.

    It names issuer, audience, the person by a name only this department sees, operation, purpose and case (RFC 9068).
    """

    subject: Literal["pairwise", "number"] = "pairwise"  # number: the person's number as well, as `id_number`
    life_s: Annotated[int, Meta(ge=120, le=300)] = 180
    header: str = "Authorization"
    prefix: str = "Bearer "


Auth = (
    NoAuth
    | ApiKey
    | Basic
    | ClientCredentials
    | SelfSigned
    | Login
    | Signed
    | HttpSignature
    | WsSecurity
    | OnestopToken
)  # fmt: skip


class Always(Strict, frozen=True, kw_only=True):
    """What every request carries besides; {secret.…} and {config.…} places allowed."""

    headers: dict[str, Recipe] = {}
    query: dict[str, Recipe] = {}


class Tls(Strict, frozen=True, kw_only=True):
    """The department's TLS; secrets `ca` (PEM), `client_cert` and `client_cert_key` (PEM; or in one with the other)."""

    trust: Literal["system", "own"] = "system"  # own: only the secret `ca`
    client_certificate: bool = False
    minimum: Literal["1.2", "1.3"] = "1.2"


class Jose(Strict, frozen=True, kw_only=True, tag_field="kind", tag="jose"):
    """JWE, JWS, or a JWE holding a JWS. Secrets: `decrypt_key` (ours), `verify_key` (theirs), both PEM, JWK or JWKS;
    for requests `encrypt_key` (theirs), `sign_key` (ours).
    """

    layers: tuple[Literal["jwe", "jws"], ...]  # from outside to inside
    key_management: tuple[str, ...] = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "RSA-OAEP", "RSA-OAEP-256")
    content_encryption: tuple[str, ...] = ("A256GCM", "A128GCM", "A256CBC-HS512", "A128CBC-HS256")
    algorithms: tuple[Algorithm, ...] = ("ES256", "RS256", "PS256", "EdDSA")
    member: Expression | None = None  # where in the decoded body the text stands; None: the body is the text
    into: str | None = None  # requests: the member that holds the text; None: the body is the text


class Sm4(Strict, frozen=True, kw_only=True, tag_field="kind", tag="sm4"):
    """An SM4 envelope (GM/T 0002); secret `sm4_key` (hex), and `sm4_iv` (hex) for cbc where none is sent along.

    gcm always sends its 12 bytes along: one used twice would open everything.
    """

    mode: Literal["cbc", "ecb", "gcm"] = "cbc"
    encoding: Literal["base64", "hex"] = "base64"
    iv: Literal["secret", "prefix"] = "secret"  # prefix: the first 16 (gcm: 12) bytes of what is sent
    member: Expression | None = None
    into: str | None = None


Protection = Jose | Sm4
