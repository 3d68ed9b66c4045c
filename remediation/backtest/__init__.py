"""A rule over real history: when it would have fired, and what a playbook would have done about it. Touches nothing."""
