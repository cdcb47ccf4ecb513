"""Test what receivers use."""
