//! Plan to live hosts and links.
