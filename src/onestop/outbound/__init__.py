"""The one door to other systems: bounded calls over HTTP to departments, and strict reading of what they answer.

It knows nothing of manifests, retries, breakers or citizens; those are the gateway's. `pool` sends, `message` builds
what is sent, `decoding` reads bodies, `addresses` says where a connection may go, and `transport` lends the pool to
libraries that speak httpx. No other module of onestop imports httpx.
"""
