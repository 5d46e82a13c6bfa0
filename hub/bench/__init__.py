"""Benchmarks with their own load, receiver and limit; the product they measure is started by the ordinary launcher."""
