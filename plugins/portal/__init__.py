"""The customers' portal: what they have, owe, were sent, and say of themselves."""
