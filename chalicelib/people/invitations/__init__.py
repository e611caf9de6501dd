"""Invitations: queued with their user, resent on request, accepted once."""
