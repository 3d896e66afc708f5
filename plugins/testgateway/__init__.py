"""A payment gateway to try out paying with: a page of its own, where no money moves."""
