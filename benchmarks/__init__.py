"""What we claim, measured beside a bound or a peer in the same run."""
