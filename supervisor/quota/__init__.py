"""When may it go? Exact windows, and the one limiter that paces."""
