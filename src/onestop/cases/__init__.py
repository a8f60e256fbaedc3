"""Cases (办件): from a prefilled draft to the decided bundle: form, steps, clocks, desk, timeline.

It decides what becomes of an application and writes what departments owe; it never speaks to a department itself.
"""
