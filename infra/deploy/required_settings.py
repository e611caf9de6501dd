"""The settings without which a stage answers nobody; the deployment and the doctor ask for them."""

#: The setting's name, and what it says.
REQUIRED_SETTINGS = {
    "ISSUER": "the OpenID Connect issuer whose tokens are accepted",
    "AUDIENCE": "the audience that its tokens name",
    "JWKS_URL": "where it publishes its keys",
    "SENDER_EMAIL": "the address that mails come from",
}
