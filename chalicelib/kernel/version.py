"""The release, as the OpenAPI document and the changelog name it."""

VERSION = "0.1.0"
