"""The whole system in one process: moto, corrected, behind the same doors that AWS has."""
