"""Share values, certificates and network isolation between the tests of all layers."""
