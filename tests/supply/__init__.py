"""What is installed is what was locked, and nothing in it is known to be bad."""
