"""The tenants of the platform, which its admins create, list, change and suspend."""
