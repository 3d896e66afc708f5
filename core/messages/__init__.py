"""Mail to customers: kinds with their fields, the tenant's own words, the outbox, the mail server."""
