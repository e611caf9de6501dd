"""Records, as pynamodb's own tutorial writes them: each model finds its connection by itself."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model


class User(Model):
    class Meta:
        table_name = "typical-people"
        region = "eu-central-1"

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute()
    name_key = UnicodeAttribute()
    email = UnicodeAttribute()
    email_key = UnicodeAttribute()
    phone = UnicodeAttribute(null=True)
    role = UnicodeAttribute()
    status = UnicodeAttribute()
    version = NumberAttribute(default=1)
    created_at = UnicodeAttribute()
    created_by = UnicodeAttribute()
    invitation_version = NumberAttribute(default=1)
    invitation_sent_at = NumberAttribute()
    invitation_expires_at = NumberAttribute()


class EmailGuard(Model):
    class Meta:
        table_name = "typical-people"
        region = "eu-central-1"

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    user_id = UnicodeAttribute()


class Job(Model):
    class Meta:
        table_name = "typical-jobs"
        region = "eu-central-1"

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    queue = UnicodeAttribute()
    status = UnicodeAttribute()
    args = UnicodeAttribute()
    attempts = NumberAttribute(default=0)
    max_attempts = NumberAttribute()
    channel = UnicodeAttribute()
    recipient = UnicodeAttribute()
    recipient_key = UnicodeAttribute()
    created_at = UnicodeAttribute()
