"""What calls return: frozen values, with every member of the API's responses as a typed field."""
