"""One department asks another through the portal: by agreement, for a purpose, within a quota, on the person's record.

Who may ask what is agreed in `onboarding`; how a department is asked is the gateway's.
"""
