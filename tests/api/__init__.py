"""Test the HTTP API over sockets: a whole node runs, and no part of it is replaced."""
