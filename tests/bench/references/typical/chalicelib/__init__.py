"""The parts of a typical team's app."""
