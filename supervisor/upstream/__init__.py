"""How does it go? One HTTP client, its failures and its retries."""
