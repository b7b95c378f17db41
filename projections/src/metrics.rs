//! Metrics of this crate, each declared once with its unit and meaning.
