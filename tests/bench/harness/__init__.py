"""What tests/bench/run is made of: one module a row of the table, and what they share."""
