"""Observe: what Prometheus and Alertmanager say."""
