//! What is proved from outside, one file per subject.

mod process;
