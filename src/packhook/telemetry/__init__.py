"""Report what a node does, for its operator."""
