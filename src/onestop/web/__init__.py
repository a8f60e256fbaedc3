"""Reference pages: few, plain, rendered by the server; they call the rooms' verbs and never HTTP.

They decide nothing. A script only refreshes what the server would show again; without it every page works.
"""
