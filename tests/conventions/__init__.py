"""Hold the code to the project's conventions, as far as a machine can check them."""
