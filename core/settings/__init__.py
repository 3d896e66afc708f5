"""Typed settings of a tenant, the core's and the plugins', in one table and one form; secrets are sealed."""
