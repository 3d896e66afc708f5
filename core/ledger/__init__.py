"""The books: accounts, postings, balances."""
