"""The program: all commands of all parts, put together. Nothing imports this."""
