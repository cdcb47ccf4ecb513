"""Test decisions by tables and properties: no sockets, no database, no clock but an argument."""
