"""The toolkit of pages and of the JSON API: routing, sessions, guards, forms, errors, templates. Knows no feature."""
