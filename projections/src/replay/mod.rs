//! What the log proves: verification and rebuilding.
