"""The mailbox holds what SES and SNS accepted, and nothing that they refused."""

from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import emulator, mailbox
from tests.emulator.conftest import client

SENDER = '"Backburner, Inc." <no-reply@example.com>'
TAGS = [{"Name": "tenant", "Value": "t1"}, {"Name": "job", "Value": "j1"}]


@pytest.fixture(scope="module")
def ses(aws: None) -> Any:
    ses = client("sesv2")
    ses.create_email_identity(EmailIdentity="no-reply@example.com")
    return ses


def simple(**changes: Any) -> dict[str, Any]:
    content = {
        "Subject": {"Data": changes.pop("subject", "Hello")},
        "Body": {"Text": {"Data": "plain"}, "Html": {"Data": "<b>rich</b>"}},
    }
    mail = {
        "FromEmailAddress": SENDER,
        "Destination": {"ToAddresses": ["Ann <ann@example.com>"]},
        "Content": {"Simple": content},
        "EmailTags": TAGS,
    }
    return mail | changes


def test_a_mail_is_kept_as_it_was_on_the_wire(ses: Any) -> None:
    message_id = ses.send_email(**simple())["MessageId"]
    (mail,) = mailbox.sent()
    assert mail.at.endswith("Z")
    assert mail == mailbox.Sent(
        channel="email",
        to="ann@example.com",
        subject="Hello",
        text="plain",
        html="<b>rich</b>",
        at=mail.at,
        tenant_id="t1",
        job_id="j1",
        message_id=message_id,
        sender=SENDER,
    )


def test_a_raw_mail_is_read(ses: Any) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "ann@example.com", "Grüße"
    message.set_content("plain")
    message.add_alternative("<i>rich</i>", subtype="html")
    ses.send_email(Content={"Raw": {"Data": message.as_bytes()}}, EmailTags=TAGS)
    (mail,) = mailbox.sent(to="ann@example.com")
    assert (mail.subject, mail.text.strip(), mail.html.strip()) == ("Grüße", "plain", "<i>rich</i>")
    assert mail.sender == SENDER


def test_version_1_of_the_api_is_read_too(ses: Any) -> None:
    old = client("ses")
    old.send_email(
        Source=SENDER,
        Destination={"ToAddresses": ["a@example.com"], "CcAddresses": ["b@example.com"]},
        Message={"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "T"}}},
        Tags=TAGS,
    )
    old.send_raw_email(
        Source=SENDER,
        Destinations=["c@example.com"],
        RawMessage={"Data": b"Subject: R\r\nTo: c@example.com\r\n\r\nbody"},
    )
    assert [(m.to, m.subject, m.job_id) for m in mailbox.sent(channel="email")] == [
        ("a@example.com", "S", "j1"),
        ("b@example.com", "S", "j1"),
        ("c@example.com", "R", None),
    ]


def test_an_sms_is_kept_with_its_tags(ses: Any) -> None:
    sns = client("sns")
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in (("tenant", "t2"), ("job", "j2"))
    }
    answer = sns.publish(PhoneNumber="+4915112345678", Message="hi", MessageAttributes=attributes)
    ses.send_email(**simple())
    (sms,) = mailbox.sent(tenant_id="t2", channel="sms")
    assert (sms.to, sms.text, sms.job_id) == ("+4915112345678", "hi", "j2")
    assert sms.message_id == answer["MessageId"]
    assert len(mailbox.sent()) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"subject": "Hello\r\nBcc: all@example.com"}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["a@example.com\nb"]}}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["nobody"]}}, "BadRequestException"),
        ({"Destination": {}}, "BadRequestException"),
        ({"FromEmailAddress": "Evil <other@example.org>"}, "MessageRejected"),
    ],
)
def test_what_ses_refuses_is_not_sent(ses: Any, fault: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        ses.send_email(**simple(**fault))
    assert caught.value.response["Error"]["Code"] == code
    assert mailbox.sent() == []


def test_version_1_refuses_a_line_break_in_its_own_words(ses: Any) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        client("ses").send_email(
            Source=SENDER,
            Destination={"ToAddresses": ["a@example.com"]},
            Message={"Subject": {"Data": "S\nT"}, "Body": {"Text": {"Data": "T"}}},
        )
    assert mailbox.sent() == []


def test_a_number_that_is_none_is_refused(aws: None) -> None:
    with pytest.raises(ClientError, match="E164"):
        client("sns").publish(PhoneNumber="0151", Message="hi")
    assert mailbox.sent() == []


def test_reset_data_empties_everything_and_keeps_the_resources(
    ses: Any, sqs: Any, dynamodb: Any
) -> None:
    url = sqs.create_queue(QueueName="kept")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    dynamodb.put_item(TableName="things", Item={"tenant": {"S": "t"}, "sk": {"S": "s"}})
    ses.send_email(**simple())
    emulator.reset_data()
    assert mailbox.sent() == []
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert dynamodb.scan(TableName="things")["Count"] == 0
    ses.send_email(**simple())
