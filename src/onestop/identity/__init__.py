"""Identity (一号): who somebody is, how they sign in, and what session they act in.

It is a relying party of OpenID providers and the issuer of onestop's own sessions. It does not decide what a signed-in
person may do with a case: that is the room's of the case, which is handed a `Session` with a role and a subject.
"""
