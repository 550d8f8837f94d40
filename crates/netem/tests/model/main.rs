//! The model half, judged from outside.

mod cutting;
mod fabric;
mod frames;
