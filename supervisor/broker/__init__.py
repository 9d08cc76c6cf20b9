"""Who gets in? The one door to the key: wait, be granted, written down, sent and settled."""
