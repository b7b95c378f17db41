//! What viewers see: the feed bus in memory and on Redis, and the projection that fills it.
