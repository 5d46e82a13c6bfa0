"""Connectors for tests: what no vendor's would do, and what no built-in one does yet."""
