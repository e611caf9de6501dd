"""Messages to people: notices with their texts, and the two ways out, e-mail and SMS.

notices   @notice: a name, a function and a folder of templates; delivering one
render    templates to texts
email     SES          sms       SNS, segments
"""
