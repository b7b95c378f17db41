//! The system clock and random ids: the only places that ask the machine for them.
