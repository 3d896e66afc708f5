"""What the command `tenantry` can do, by what it is done to; `tenants.cli` puts it together."""
