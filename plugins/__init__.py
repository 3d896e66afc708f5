"""What only some operators need: one folder a plugin, all of the same shape."""
