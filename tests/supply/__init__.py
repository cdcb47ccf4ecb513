"""Check that the installed packages are the locked ones, and that none of them is known to be bad."""
