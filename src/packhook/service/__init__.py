"""The operations of the product, without HTTP. ``service.py`` connects them to a store."""
