"""Certificates (办结凭证), made at a case's end, and e-licences (电子证照), which refer to their issuers' records.

Both are signed, shown to their holder, and checked by anyone. The room decides no case and no licence: it writes down
what was decided, and asks the issuer again before it passes an old word on.
"""
