"""What is wrong with a manifest, by number, place, sentence and fix; docs/lint-rules.md lists the rules."""
