"""The shell of the pages: what every page shares."""
