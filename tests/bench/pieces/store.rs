//! The store alone: the most frequent read, and one durable change.

use criterion::Criterion;
use guestlist::operations::invites::create_organization_invite;
use guestlist::storage::invites::find_by_token;

use crate::fixture::Fixture;

pub fn bench(criterion: &mut Criterion, fixture: &Fixture) {
    let (context, hash) = (&fixture.context, fixture.token.hash());
    let read = || {
        let found = find_by_token(context.store.read(), &hash);
        fixture.runtime.block_on(found).expect("the store answers").expect("an invite")
    };
    let kept = || {
        let found = context.store.preview(&hash, context.clock.now());
        fixture.runtime.block_on(found).expect("the store answers").expect("a live invite")
    };
    let write = || {
        let made = create_organization_invite(context, &fixture.call, fixture.written);
        fixture.runtime.block_on(made).expect("a link")
    };
    let mut group = criterion.benchmark_group("SQLite");
    group.bench_function("an invite and its organization by token", |bencher| bencher.iter(read));
    group.bench_function("a preview that is kept", |bencher| bencher.iter(kept));
    group.bench_function("CreateOrganizationInvite, one in flight", |bencher| bencher.iter(write));
}
