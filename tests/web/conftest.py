"""The doors are tested on the machine's own clocks: sockets know no others."""
