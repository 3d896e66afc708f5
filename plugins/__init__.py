"""The plugins that come with the product. Each knows the core, none knows another."""
