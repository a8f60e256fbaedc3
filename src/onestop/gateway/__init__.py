"""The gateway: a department in one file, a line to each, one budget for all, and a ledger of every effect.

It decides how a department is asked and what became of it. It does not know what a case is.
"""
