"""Small helpers without Django, one topic per file."""
