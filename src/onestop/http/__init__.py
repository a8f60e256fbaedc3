"""The front desk: what every request meets before and after a room sees it, and the one place that knows HTTP statuses.

Not here: who may do what to which case; that is each room's own.
"""
