"""Regions: where, and with which account, projects are made at their providers."""
