"""A department's way in: its document imported, its manifest tried, checked, promoted, watched, and taken back.

It is not the traffic itself: calls, limits and the ledger are the gateway's.
"""
