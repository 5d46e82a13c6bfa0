"""One file per benchmark, found by its name; each has `NEEDS_PRODUCT` and `run(options)`."""
