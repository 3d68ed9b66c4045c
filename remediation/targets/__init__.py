"""What runs the targets: one file per backend."""
