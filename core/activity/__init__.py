"""The log of everything that happened, and how plugins and pages hear of it."""
