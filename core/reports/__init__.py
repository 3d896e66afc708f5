"""Reports over books, subscriptions and documents: what an accountant asks for, and the figures of the start page."""
