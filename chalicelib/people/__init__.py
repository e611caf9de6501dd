"""People: the users of a tenant and their invitations.

Creating a user answers at once; the invitation's e-mail and SMS are jobs saved with the user.
An e-mail address belongs to one user of a tenant, whatever its case.
"""
