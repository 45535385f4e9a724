//! `guestlist export` and `guestlist import`: moves organizations, members and invitations
//! from one store to another.
//!
//! An import reads its file twice. The first time it checks all lines ([`Plan`]), and keeps their
//! places, not their content: a file may have millions of lines. The second time it writes
//! ([`import()`]), one organization after another, whatever the order of the file.

mod bundle;
mod export;
mod import;
mod lines;
mod lookup;
mod parts;
mod plan;
mod transactions;

pub use export::{Counts, export};
pub use import::{Import, Source, import};
pub use lines::{Place, Problem, Terms};
pub use plan::Plan;
