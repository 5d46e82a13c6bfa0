"""One vendor's inbound webhooks each: the file's name is the source connector's slug."""
