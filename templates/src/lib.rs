//! The template language of Vignette: from a template and one viewer's data to a filled video.
//!
//! ```text
//! text --source--> Node --template--> Document --check--> Template
//!                                          viewer data --data--> Data
//! Template + Data --ask--> Requests      (generators answer)      Generated
//! Template + Data + Generated --fill--> Video
//! ```
//!
//! Nothing here reaches the network, a clock or chance; files come through [`world::World`].

#![forbid(unsafe_code)]

mod agree;
pub mod blob;
mod check;
pub mod container;
pub mod data;
pub mod expr;
pub mod fault;
pub mod fill;
pub mod generate;
pub mod package;
pub mod pronunciation;
pub mod source;
pub mod template;
pub mod time;
pub mod units;
pub mod video;
pub mod viseme;
pub mod world;

pub use data::Data;
pub use fault::{Fault, Faults, Warned};
pub use fill::{Fill, ask, fill};
pub use package::{OpenOptions, Package, Template};
pub use template::language_schema;
pub use world::World;
