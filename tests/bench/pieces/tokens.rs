//! What is sealed: the tokens of invites, and the places that page tokens stand for.

use std::hint::black_box;

use criterion::Criterion;
use guestlist::domain::PageSize;
use guestlist::keyring::Purpose;
use guestlist::operations::cursor::Pagination;
use guestlist::operations::encoding::Encoding;

use crate::house::House;

/// An id: what a token is bound to, and the place in a list of invites.
const PLACE: &str = "00000000-0000-7000-8000-000000000001";

pub fn bench(criterion: &mut Criterion, house: &House) {
    let keyring = &house.context.keyring;

    let (token, id) = (house.token.as_bytes(), PLACE.as_bytes());
    let seal = || keyring.seal(Purpose::InviteToken, id, token).expect("it can be sealed");
    let sealed = seal();
    let open = || keyring.open(Purpose::InviteToken, id, &sealed).expect("its own");
    let mut group = criterion.benchmark_group("token of an invite");
    group.bench_function("hash", |bencher| bencher.iter(|| black_box(&house.token).hash()));
    group.bench_function("seal", |bencher| bencher.iter(seal));
    group.bench_function("open", |bencher| bencher.iter(open));
    group.finish();

    let caller = house.call.caller.account.id;
    let list = || {
        let shown = Encoding::new("List").id(black_box(house.written));
        Pagination::new(shown, caller, "page.page_token")
    };
    let make = || {
        let mut rows = vec![PLACE; 2];
        list().cut(keyring, &mut rows, PageSize::of(1), |row| *row).expect("it can be sealed")
    };
    let made = make();
    let read = || list().cursor::<String>(keyring, &made).expect("its own");
    let mut group = criterion.benchmark_group("page token");
    group.bench_function("make", |bencher| bencher.iter(make));
    group.bench_function("read", |bencher| bencher.iter(read));
}
