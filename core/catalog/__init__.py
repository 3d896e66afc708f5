"""What the operator sells: products, groups, prices, taxes."""
