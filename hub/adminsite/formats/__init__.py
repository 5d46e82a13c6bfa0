"""How dates and times are written: in the order that sorts, with seconds, UTC."""
