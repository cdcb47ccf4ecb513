"""Test what a node leaves behind when it is killed or stopped."""
