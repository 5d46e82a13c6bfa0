"""One door in: SDKs' calls and the product's own events are checked, given their final form and appended to the log."""
