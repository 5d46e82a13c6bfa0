"""One file per command of `manage.py`; each parses its options and calls the room that owns the work."""
