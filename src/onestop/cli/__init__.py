"""The command line: commands that read settings, open what they need and call a verb. It decides nothing itself."""

from onestop.cli.entry import main as main
