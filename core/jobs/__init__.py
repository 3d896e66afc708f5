"""Rows of work: what has an effect outside the database, takes long, or is due later."""
