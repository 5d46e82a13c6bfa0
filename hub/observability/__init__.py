"""How the product tells what it does: structured logs, metrics, health. Anyone may import it."""
