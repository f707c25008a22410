"""A model in use: what moved, what it costs, and what calls for attention; trains nothing and promotes nothing."""
