"""The directory: departments and the working-day calendar.

It says who answers and which days count; it decides no case.
"""
