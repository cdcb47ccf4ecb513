"""Test the pages for people: page by page without JavaScript, and in a browser."""
