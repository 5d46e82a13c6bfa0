"""Long work as rows: what is done in bounded steps by whichever worker is free, and can be watched, paused, stopped."""
