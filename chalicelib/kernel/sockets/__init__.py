"""WebSockets: tickets, connections, and pushing to them.

records      tickets, sockets, and who follows what
topics       the kinds of topics, and who may follow them
connections  who is connected and which topics they follow; pushing to them
api          tickets over HTTP
"""
