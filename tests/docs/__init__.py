"""Test that the documentation matches the code: it names everything, and only what exists."""
