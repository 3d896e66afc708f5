"""The host: which tenants there are, where their data lies, how a request finds them, how they are made and kept."""
