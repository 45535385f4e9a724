"""The parts of tests/bench/run: a module for each row of the table, and the modules that rows share."""
