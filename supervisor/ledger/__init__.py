"""What did it cost? Every attempt, written down before it is sent."""
