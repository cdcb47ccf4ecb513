"""Test whole nodes, from publish to history, and the tools that run them."""
