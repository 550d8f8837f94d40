//! JPEG to luminance to motion to people.
