"""Answers one question: does this event go to this destination, by which mappings, and if not, why."""
