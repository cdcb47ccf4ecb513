"""The self-test's lists, run as part of the tests, and the self-test itself: can it fail?"""
