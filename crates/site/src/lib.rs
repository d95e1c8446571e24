//! The site file: in comes TOML text and a date, out comes the one valid [`model::Model`] with its flows derived, or
//! every diagnostic. Pure: no file is read here and no clock.

pub mod model;
pub mod special;

pub use model::*;
