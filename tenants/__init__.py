"""The host: which tenants there are, where their data lies, and who answers for an address."""
