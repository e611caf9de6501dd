"""People: the users of a tenant and their invitations.

The request that creates a user is answered at once; the e-mail and the SMS of the invitation are
jobs saved with the user. An e-mail address belongs to one user of a tenant; case does not matter.
"""
