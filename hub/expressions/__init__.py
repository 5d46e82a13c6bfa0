"""Filter and mapping languages, pure: text or JSON goes in, is checked once, and comes out as a compiled closure.

A filter decides whether an event matches; a mapping turns an event into a payload. Nothing here knows Django, the
network or the clock, so whatever these functions decide they decide again after a crash.
"""
