"""Mandates (授权): who may act for whom, in what matter, within which limits, from when until when.

It says whether an act is covered and opens the session in which somebody acts for somebody else. What a covered act
then does is the room's whose act it is; sessions themselves are identity's.
"""
