//! The read model of broadcasts and spotlights.
