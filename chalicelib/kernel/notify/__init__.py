"""Messages to people: notices with their texts, and the two ways out, e-mail and SMS.

notices   @notice: a name, a function and a folder of templates
sending   sending one message: texts, limits, provider, breaker
render    from templates to texts
email     SES          sms       SNS, segments
providers what the answers of SES and SNS mean for a job
limits    rates, daily caps, the suppression list
breaker   leaving a provider alone while it is down
feedback  what SES reports of mails after it took them
"""
