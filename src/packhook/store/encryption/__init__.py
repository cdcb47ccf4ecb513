"""Encryption at rest: webhook secrets, header values and client keys, under the instance's master keys."""
