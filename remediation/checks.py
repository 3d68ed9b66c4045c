"""System checks of stored configuration."""
