"""Does all of it really happen? The whole team at work on one key, in half a minute."""
