"""What does the outside see? Health, gateway and jobs over HTTP."""
