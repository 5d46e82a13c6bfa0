"""Connectors: pure descriptions of how one vendor is spoken to."""
