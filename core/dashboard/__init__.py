"""The start page and the search over everything: what stands above all features."""
