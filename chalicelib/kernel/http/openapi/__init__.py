"""The API's description: an OpenAPI 3.1 document made from the declared routes, and a page."""
