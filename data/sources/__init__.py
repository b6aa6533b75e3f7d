"""Importers: a module a format."""
