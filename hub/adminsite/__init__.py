"""The shell of the admin: the site, read-only and no-count bases, what every admin page shares."""
