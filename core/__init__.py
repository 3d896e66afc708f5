"""What every operator needs, and the hooks. Knows no plugin and no tenant registry."""
