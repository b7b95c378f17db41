//! From a parsed request to the durable promise: admission, acceptance, answer.
