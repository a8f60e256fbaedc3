"""onestop: the backend of an integrated one-stop government services portal (一号一窗一网)."""

__version__ = "0.1.0"
