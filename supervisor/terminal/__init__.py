"""How does a person talk with the team? One conversation, through this tty or over SSH."""
