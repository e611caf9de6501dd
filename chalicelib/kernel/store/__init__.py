"""Records in DynamoDB: read, changed on conditions, written together, listed in pages.

connection     the one connection that all models share
records        the base classes of records; a page of a query
write_set      several changes in one TransactWriteItems: all of them or none
batch_update   several conditional changes in one call, independent of one another
preconditions  a change applies only to the version that was read (If-Match)
paging         lists with cursors
failures       what an error of the store means
"""
