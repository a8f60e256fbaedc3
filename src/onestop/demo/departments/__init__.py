"""The systems of Yunxi's departments, one process each: other people's software, differing as such software does.

They import nothing of onestop's but the demo world, authenticate their callers, keep a ledger of their own that is on
disk before they answer, and misbehave on command or for the trigger people.
"""
