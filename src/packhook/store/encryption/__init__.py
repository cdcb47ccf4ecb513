"""Encrypt webhook secrets, header values and client keys at rest, under the instance's master keys."""
