"""Start embedded services and supervise the product's processes."""
