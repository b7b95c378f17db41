//! The protocol, frame by frame.
