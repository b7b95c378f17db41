//! One writer per partition: batches of commands become events in one transaction.
