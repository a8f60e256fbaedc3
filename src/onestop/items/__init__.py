"""Service items (事项) and one-things (一件事) as data: what a person can apply for, what the form asks, who does what.

An item is a TOML file. This room reads, checks and compiles it; it knows no case and asks nobody.
"""
