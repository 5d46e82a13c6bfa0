"""The one door out: pipelines read the log, ask routing, prepare requests, send them, commit what became of them."""
