"""Repair: failures as groups of what is alike, and the acts that try them again or put them aside, few or a million."""
