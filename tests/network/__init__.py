"""Proofs over real processes and real sockets: fan-out, isolation, hostile answers, places nobody may call."""
