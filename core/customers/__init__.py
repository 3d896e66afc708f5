"""Customers: who they are, how to reach them, their status, and who may see them."""
