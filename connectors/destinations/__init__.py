"""One destination each: the file's name is the connector's slug."""
