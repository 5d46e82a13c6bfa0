"""The log: every accepted event, once, in an order that readers can follow. Ingest appends, readers keep cursors."""
