"""What a node leaves behind when it is killed or stopped."""
