"""Records in DynamoDB: read, changed on conditions, written together, listed in pages.

connection     the one connection under all models
records        the base classes of records; a page of a query
write_set      several changes, all or none, in one TransactWriteItems
batch_update   several conditional changes in one call, independent of one another
preconditions  a change counts only on the version that was read (If-Match)
paging         lists with cursors
failures       what an error of the store means
"""
