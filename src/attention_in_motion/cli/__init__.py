"""The commands of the command line; `__main__` puts them together."""
