//! The guarantees of the store, on both engines.

mod blocked;
mod commit;
mod epoch;
mod explain;
mod grouped_changes;
mod migrations;
mod pipelined;
mod previews;
mod races;
mod removals;
mod rows;
mod secrets;
mod tls;
mod unnamed_statements;
