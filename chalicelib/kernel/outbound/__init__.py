"""Calls to outside services.

web        HTTP with limits on time and size; calls are repeated only where that is safe
addresses  which addresses may be called
"""
