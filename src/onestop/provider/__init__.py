"""onestop as OpenID provider (一次认证、全网通办): departmental sites and front ends sign people in here.

It knows clients, what each may be told and why, and who signed in where; who people are is for `identity` to say.
"""
