"""Signature schemes: how a request proves who sent it."""
