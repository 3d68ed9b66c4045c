"""The fault matrix: real processes, broken on purpose, and an oracle that compares ledger and database."""
