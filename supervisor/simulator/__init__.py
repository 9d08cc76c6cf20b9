"""What would Grok do? Its API on loopback, and a judge that counts."""
