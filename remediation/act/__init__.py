"""Act: one file per verb, and the one function that carries out a plan."""
