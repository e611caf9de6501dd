"""Tenants as the platform's admins keep them: create, list, change, suspend."""
