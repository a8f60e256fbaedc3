"""What a person may ask of what is held of them: to be told, to have it deleted, to be erased; and how long it is kept.

By what right data is used at all is decided in `basis`.
"""
