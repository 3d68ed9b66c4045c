"""The shop that the demo runs, the monitoring around it, and the faults that can be put into it."""
