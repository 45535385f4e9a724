//! Sealed data: the tokens of invites, and page tokens, which contain a place in a list.

use std::hint::black_box;

use criterion::Criterion;
use guestlist::domain::PageSize;
use guestlist::keyring::Purpose;
use guestlist::operations::cursor::Pagination;
use guestlist::operations::encoding::Encoding;

use crate::fixture::Fixture;

/// An id. It is the context that a token is sealed with, and the place in a list of invites.
const PLACE: &str = "00000000-0000-7000-8000-000000000001";

pub fn bench(criterion: &mut Criterion, fixture: &Fixture) {
    let keyring = &fixture.context.keyring;

    let (token, id) = (fixture.token.as_bytes(), PLACE.as_bytes());
    let seal = || keyring.seal(Purpose::InviteToken, id, token).expect("it can be sealed");
    let sealed = seal();
    let open = || keyring.open(Purpose::InviteToken, id, &sealed).expect("it can be opened");
    let mut group = criterion.benchmark_group("token of an invite");
    group.bench_function("hash", |bencher| bencher.iter(|| black_box(&fixture.token).hash()));
    group.bench_function("seal", |bencher| bencher.iter(seal));
    group.bench_function("open", |bencher| bencher.iter(open));
    group.finish();

    let caller = fixture.call.caller.account.id;
    let list = || {
        let shown = Encoding::new("List").id(black_box(fixture.written));
        Pagination::new(shown, caller, "page.page_token")
    };
    let make = || {
        let mut rows = vec![PLACE; 2];
        list().cut(keyring, &mut rows, PageSize::of(1), |row| *row).expect("it can be sealed")
    };
    let made = make();
    let read = || list().cursor::<String>(keyring, &made).expect("it can be read");
    let mut group = criterion.benchmark_group("page token");
    group.bench_function("make", |bencher| bencher.iter(make));
    group.bench_function("read", |bencher| bencher.iter(read));
}
