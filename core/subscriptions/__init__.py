"""What customers have: subscriptions, terms, schedules, charges."""
