"""Each invariant of the design, the test that holds it, and the product broken on purpose, so that the test fails."""
