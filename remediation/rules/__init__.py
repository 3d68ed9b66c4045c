"""Rules as code: files become rules, rules become files, and both can be tested."""
