"""What every domain builds on: requests, records, jobs, notices, tenants. It names no domain."""
