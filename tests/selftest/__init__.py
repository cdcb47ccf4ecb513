"""Run the self-test's lists, and test that the self-test can fail."""
