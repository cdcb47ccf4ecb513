"""Outgoing HTTP/1.1: one client for http and https, with the egress guard and the operator's proxy."""
