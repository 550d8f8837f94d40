//! [`vision::Judge`] for Java, as `dev.fogline.vision.Judge` declares it.
//!
//! Java holds a judge by a number. Whatever goes wrong here becomes a Java exception: a panic must not cross the border,
//! and a wrong number finds nothing.

mod judges;
mod sys;
