"""Staff of the operator: people, roles, log-in, invitations, API tokens."""
