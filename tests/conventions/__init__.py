"""The habits of the house, where a machine can tell."""
