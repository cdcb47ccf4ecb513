"""The command line: ``serve`` runs a node, ``demo`` shows one, the others ask a running server."""
