"""Regions: the addresses and accounts at which projects are created."""
