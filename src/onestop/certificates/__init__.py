"""Certificates (证照, 办结凭证): made at a case's end, signed, shown to their holder, checked by anyone.

It decides no case; it writes down what was decided, so that it can be proved.
"""
