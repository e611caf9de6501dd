"""What every domain stands on: requests, records, jobs, notices, tenants. It names no domain."""
