"""By what right data about a person may be released: purposes as data, notices as shown, consents as given.

It decides whether; what is read or handed over, and how, is known to the rooms that release.
"""
