"""Invitations: queued with their user, sent again on request, and accepted once."""
