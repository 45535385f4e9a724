//! The store by itself: the read that is asked most of all, and one change, made durable.

use criterion::Criterion;
use guestlist::operations::invites::create_organization_invite;
use guestlist::storage::invites::find_by_token;

use crate::house::House;

pub fn bench(criterion: &mut Criterion, house: &House) {
    let (context, hash) = (&house.context, house.token.hash());
    let read = || {
        let found = find_by_token(context.store.read(), &hash);
        house.runtime.block_on(found).expect("the store answers").expect("an invite")
    };
    let kept = || {
        let found = context.store.preview(&hash, context.clock.now());
        house.runtime.block_on(found).expect("the store answers").expect("a live invite")
    };
    let write = || {
        let made = create_organization_invite(context, &house.call, house.written);
        house.runtime.block_on(made).expect("a link")
    };
    let mut group = criterion.benchmark_group("SQLite");
    group.bench_function("an invite and its organization by token", |bencher| bencher.iter(read));
    group.bench_function("a preview that is kept", |bencher| bencher.iter(kept));
    group.bench_function("CreateOrganizationInvite, one in flight", |bencher| bencher.iter(write));
}
