"""What a user can ask for: rules, not HTTP. ``service.py`` wires it all."""
