"""How a department knows us and how we know it: credentials, signatures, tokens and keys."""
