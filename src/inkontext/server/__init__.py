"""Serving a model: the app, and the page where people edit."""
