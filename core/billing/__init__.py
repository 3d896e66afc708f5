"""Documents, billing runs, credit and what it settles."""
