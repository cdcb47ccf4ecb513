"""The HTTP API, asked over sockets: a whole node runs, and nothing of it is replaced."""
