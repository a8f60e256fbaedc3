"""A department's own document in, a manifest and the questions it leaves open out.

Nothing here opens a connection: a document is bytes, and what it refers to lies beside it or is named as missing.
"""
