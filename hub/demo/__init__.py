"""The demonstration: a workspace, a receiver and a small shop that sends real events through the public API."""
