"""Parts of the command line; `credit.__main__` puts them together."""
