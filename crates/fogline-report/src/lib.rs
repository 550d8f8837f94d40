//! Run folder to statistics, charts and HTML.
