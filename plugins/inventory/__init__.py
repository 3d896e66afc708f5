"""Hardware: what the operator owns, where it is, and which customer has it."""
