//! The kinds of columns, and functions that build tables, foreign keys and indexes from them.

use sea_orm_migration::prelude::*;

pub fn name(name: &'static str) -> Alias {
    Alias::new(name)
}

pub fn column(column: &'static str) -> ColumnDef {
    ColumnDef::new(name(column))
}

pub fn text(of: &'static str) -> ColumnDef {
    column(of).text().not_null().to_owned()
}

pub fn text_or_null(of: &'static str) -> ColumnDef {
    column(of).text().null().to_owned()
}

pub fn integer(of: &'static str) -> ColumnDef {
    column(of).big_integer().not_null().to_owned()
}

/// SQLite's row id as a column, which needs no index of its own: a row that is inserted without a
/// number gets the highest number plus one. SQLite requires exactly this name of the type.
pub fn row_number(of: &'static str) -> ColumnDef {
    column(of).custom("integer").not_null().primary_key().to_owned()
}

pub fn integer_or_null(of: &'static str) -> ColumnDef {
    column(of).big_integer().null().to_owned()
}

pub fn uuid(of: &'static str) -> ColumnDef {
    column(of).uuid().not_null().to_owned()
}

pub fn uuid_or_null(of: &'static str) -> ColumnDef {
    column(of).uuid().null().to_owned()
}

pub fn bytes(of: &'static str) -> ColumnDef {
    column(of).blob().not_null().to_owned()
}

pub fn bytes_or_null(of: &'static str) -> ColumnDef {
    column(of).blob().null().to_owned()
}

pub fn boolean(of: &'static str) -> ColumnDef {
    column(of).boolean().not_null().to_owned()
}

pub fn id() -> ColumnDef {
    uuid("id").primary_key().to_owned()
}

pub fn table(
    of: &'static str,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name(of));
    for mut column in columns {
        table.col(&mut column);
    }
    table
}

pub fn references(
    from: (&'static str, &'static str),
    to: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(name(from.0), name(from.1))
        .to(name(to), name("id"))
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

pub fn index(
    of: &'static str,
    on: &'static str,
    columns: impl IntoIterator<Item = &'static str>,
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(of).table(name(on));
    for column in columns {
        index.col(name(column));
    }
    index
}
