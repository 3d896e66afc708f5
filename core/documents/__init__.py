"""Files stored once with their hash, and documents as PDF, made in a child process."""
