"""Prove who sent a request."""
