"""The documentation is true: what it names exists, and what exists it names."""
