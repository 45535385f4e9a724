//! What the store promises, on both engines.

mod commit;
mod epoch;
mod explain;
mod held_up;
mod migrations;
mod pipelined;
mod previews;
mod races;
mod removals;
mod rows;
mod secrets;
mod tls;
mod together;
mod unnamed;
