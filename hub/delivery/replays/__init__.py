"""Replays: a piece of the log sent once more, by a bounded pipeline with books of its own."""
