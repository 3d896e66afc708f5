"""Customers from files: known layouts, what their cells mean, what is wrong with them, and the take-over."""
