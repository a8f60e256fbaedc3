"""A department of another make, in a process of its own: it signs, encrypts and calls back as it is told on stdin.

Reads `{url, secret, ours, theirs, other, calls}`: keys in PEM (its own, the portal's, one that nobody declared), and
what it says in each call. Writes the status and body of every answer.
"""

import hmac
import http.client
import json
import sys
import time
from urllib.parse import urlsplit

from jwcrypto import jwe, jwk, jws


def sealed(told, private, public):
    """Return a JWE for us that holds a JWS of the department."""
    inner = jws.JWS(json.dumps(told))
    inner.add_signature(jwk.JWK.from_pem(private.encode()), "ES256", json.dumps({"alg": "ES256"}))
    outer = jwe.JWE(inner.serialize(compact=True), json.dumps({"alg": "ECDH-ES", "enc": "A256GCM"}))
    outer.add_recipient(jwk.JWK.from_pem(public.encode()))
    return outer.serialize(compact=True)


def main():
    order = json.load(sys.stdin)
    at, heard, said = urlsplit(order["url"]), [], {}
    for call in order["calls"]:
        text = json.dumps(call["says"])
        if call.get("forged"):
            text = sealed(call["says"], order["other"], order["theirs"])
        elif not call.get("plain"):
            # Said again it is the same text, as a replay is.
            text = said.setdefault(text, sealed(call["says"], order["ours"], order["theirs"]))
        stamp, nonce = str(int(time.time())), call["nonce"]
        mac = hmac.digest(order["secret"].encode(), f"{stamp}\n{nonce}\n{text}".encode(), "sha256").hex()
        headers = {"x-timestamp": stamp, "x-nonce": nonce, "x-signature": mac, "content-type": "application/jose"}
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
        connection.request("POST", at.path + "/" + call["event"], text, headers)
        answer = connection.getresponse()
        heard.append([answer.status, json.loads(answer.read())])
        connection.close()
    json.dump(heard, sys.stdout)


if __name__ == "__main__":
    main()
