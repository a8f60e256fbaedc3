"""Makes the key the peers check tokens with, and the tokens: python tokens.py DIRECTORY COUNT (in the peers' venv).

Writes es256.pem (the public key), tokens (line n is citizen n's) and refused.json (tokens that nobody may accept).
"""

import json
import sys
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def main(directory: Path, count: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    good = {"iss": "https://id.bench.test", "aud": "one-stop", "sub": "1", "iat": now, "exp": now + 7 * 86400}

    def sign(claims: dict[str, object], with_key: ec.EllipticCurvePrivateKey = key) -> str:
        return jwt.encode(claims, with_key, algorithm="ES256", headers={"kid": "bench"})

    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (directory / "es256.pem").write_bytes(public)
    tokens = [sign({**good, "sub": str(n), "jti": f"t{n:08d}"}) for n in range(1, count + 1)]
    (directory / "tokens").write_text("\n".join(tokens) + "\n")
    refused = {
        "strange key": sign(good, stranger),
        "expired": sign({**good, "exp": now - 60}),
        "other issuer": sign({**good, "iss": "https://elsewhere.test"}),
        "other audience": sign({**good, "aud": "another"}),
        "no expiry": sign({k: v for k, v in good.items() if k != "exp"}),
        "no signature": jwt.encode(good, "", algorithm="none"),
        "not a token": "x",
    }
    (directory / "refused.json").write_text(json.dumps(refused, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
