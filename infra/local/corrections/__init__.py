"""Where moto 5.2.5 differs from AWS: put right at run time, one file for one kind of fault.

Every file names the AWS page that it follows. docs/moto.md describes each fault for moto's authors.
"""
