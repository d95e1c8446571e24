//! The site file. In comes TOML text, out comes the one valid [`model::Model`] of the site, or every diagnostic at once.
//!
//! Pure: time is an argument, files are texts handed in.

pub mod model;
