"""My affairs: one question to every department at once, answered within one budget; late parts come later.

It decides which questions there are for a person. It does not know how a department is asked.
"""
