"""WebSockets: tickets, connections, and pushing to them.

topics       the kinds of topics, and who may follow them
connections  who is connected and which topics they follow; pushing to them
api          tickets over HTTP
"""
