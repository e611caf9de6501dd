"""WebSockets: tickets, connections, and what is pushed to them.

topics       which topics there are, and who may follow them
connections  who is connected and what they follow; pushing to them
api          tickets over HTTP
"""
