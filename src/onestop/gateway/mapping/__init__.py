"""The mapping language: our values into a department's and back. It knows no wire; docs/mapping.md is its reference."""
