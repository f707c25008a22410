"""Raw rows in: read, checked, or made up."""
