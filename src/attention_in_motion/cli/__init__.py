"""The command line: one module per group of commands; `__main__` puts them together."""
