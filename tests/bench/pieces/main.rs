//! Benches of the parts that take time in a profile of the server, each alone and in this
//! process: `cargo bench --bench pieces`. `tests/bench/run` measures the whole server over a
//! network.

mod fixture;
mod protocols;
mod store;
mod tokens;

use criterion::Criterion;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let fixture = fixture::Fixture::new();
    let mut criterion = Criterion::default().configure_from_args();
    protocols::bench(&mut criterion, &fixture);
    tokens::bench(&mut criterion, &fixture);
    store::bench(&mut criterion, &fixture);
    criterion.final_summary();
}
