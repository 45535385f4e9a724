//! Writes that nobody waits for, in as few statements as can be.
//!
//! A statement has its price on both sides, whatever it does. PostgreSQL takes several
//! writes as one: `WITH a AS (UPDATE …), b AS (INSERT …) INSERT …` (data-modifying
//! statements in WITH, chapter 7.8.4 of its manual). It says neither in which order it
//! does them nor lets one see what another has written, and checks foreign keys after
//! them all. So writes go together only where nobody could tell: each to another table,
//! or a row's insert behind an update of its table, of which it reads how many rows it
//! changed: it cannot be done before it then.

use std::mem;
use std::sync::LazyLock;

use quick_cache::sync::Cache;
use sea_orm::{DbBackend, Statement, Value, Values};

/// How many texts are kept; there are fewer than operations.
const COMBINATIONS: usize = 64;

/// A statement that writes rows of one table and reads no other.
pub struct Write {
    /// Which.
    pub table: &'static str,
    /// By what, with the values bound.
    pub statement: Statement,
}

/// Statements that do what these writes do one after another.
pub(super) fn together(writes: Vec<Write>) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut group: Vec<Write> = Vec::new();
    for write in writes {
        let mut of_its_table = group.iter().filter(|other| other.table == write.table);
        let fits = match (of_its_table.next(), of_its_table.next()) {
            (None, _) => true,
            (Some(one), None) => is_update(one) && inserted_row(&write.statement.sql).is_some(),
            _ => false,
        };
        if !fits {
            statements.extend(one(mem::take(&mut group)));
        }
        group.push(write);
    }
    statements.extend(one(group));
    statements
}

/// One statement for writes to as many tables.
fn one(mut writes: Vec<Write>) -> Option<Statement> {
    static KNOWN: LazyLock<Cache<String, String>> = LazyLock::new(|| Cache::new(COMBINATIONS));

    if writes.len() < 2 {
        return writes.pop().map(|write| write.statement);
    }
    let mut key = String::with_capacity(2048);
    for write in &writes {
        key.push_str(&write.statement.sql);
        key.push(';');
    }
    let sql = KNOWN.get(&key).unwrap_or_else(|| {
        let sql = text(&writes);
        KNOWN.insert(key, sql.clone());
        sql
    });
    let mut all = Vec::with_capacity(64);
    for write in writes {
        all.extend(values(write.statement));
    }
    Some(Statement::from_sql_and_values(DbBackend::Postgres, sql, all))
}

fn text(writes: &[Write]) -> String {
    let mut sql = String::new();
    let mut before = 0;
    for (place, Write { table, statement }) in writes.iter().enumerate() {
        let mut own = shifted(&statement.sql, before);
        let first = writes.iter().position(|other| other.table == *table);
        if let (Some(first), Some((into, row))) = (first, inserted_row(&own))
            && first < place
        {
            own = format!("{into} SELECT {row} WHERE (SELECT count(*) FROM w{first}) >= 0");
        } else if writes.iter().skip(place + 1).any(|other| other.table == *table) {
            own += " RETURNING 1";
        }
        sql += &match (place, writes.len() - place) {
            (_, 1) => format!(" {own}"),
            (0, _) => format!("WITH w0 AS ({own})"),
            _ => format!(", w{place} AS ({own})"),
        };
        before += statement.values.as_ref().map_or(0, |values| values.0.len());
    }
    sql
}

fn is_update(write: &Write) -> bool {
    write.statement.sql.starts_with("UPDATE ")
}

/// Where an insert of one row puts it, and its values.
fn inserted_row(sql: &str) -> Option<(&str, &str)> {
    let (into, row) = sql.split_once(" VALUES (")?;
    let row = row.strip_suffix(')').filter(|row| !row.contains(['(', ')']))?;
    into.starts_with("INSERT ").then_some((into, row))
}

/// A statement's text with its placeholders counted on.
fn shifted(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut shifted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let number = number.parse::<usize>().map(|number| (number + by).to_string());
        shifted = format!("{shifted}${}{rest}", number.unwrap_or_default());
    }
    shifted
}

fn values(statement: Statement) -> Vec<Value> {
    statement.values.map(|Values(values)| values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(table: &'static str, sql: &str, values: &[i64]) -> Write {
        let values = values.iter().copied().map(Value::from);
        Write { table, statement: Statement::from_sql_and_values(DbBackend::Postgres, sql, values) }
    }

    fn texts(writes: Vec<Write>) -> Vec<(String, Vec<Value>)> {
        let statements = together(writes).into_iter();
        statements.map(|one| (one.sql, one.values.unwrap().0)).collect()
    }

    #[test]
    fn writes_to_different_tables_are_one_statement() {
        let told = texts(vec![
            write("a", "UPDATE a SET x = $1 WHERE id = $2", &[1, 2]),
            write("b", "INSERT INTO b VALUES ($1, $2)", &[3, 4]),
            write("c", "INSERT INTO c VALUES ($1)", &[5]),
        ]);
        let sql = "WITH w0 AS (UPDATE a SET x = $1 WHERE id = $2), \
            w1 AS (INSERT INTO b VALUES ($3, $4)) INSERT INTO c VALUES ($5)";
        assert_eq!(told, [(sql.into(), (1..=5_i64).map(Value::from).collect())]);
    }

    #[test]
    fn a_second_write_to_a_table_waits_for_the_first_and_all_before_it() {
        let told = texts(vec![
            write("a", "first $1", &[1]),
            write("b", "second $1", &[2]),
            write("a", "third $1", &[3]),
            write("b", "fourth $1", &[4]),
        ]);
        let texts: Vec<&str> = told.iter().map(|(sql, _)| sql.as_str()).collect();
        assert_eq!(texts, ["WITH w0 AS (first $1) second $2", "WITH w0 AS (third $1) fourth $2"]);
    }

    #[test]
    fn a_row_is_inserted_behind_an_update_of_its_table() {
        let told = texts(vec![
            write("a", "UPDATE a SET x = $1 WHERE y = $2", &[1, 2]),
            write("b", "INSERT INTO b (x) VALUES ($1)", &[3]),
            write("a", "INSERT INTO a (x, y) VALUES ($1, $2)", &[4, 5]),
            write("c", "INSERT INTO c (x) VALUES ($1)", &[6]),
        ]);
        let sql = "WITH w0 AS (UPDATE a SET x = $1 WHERE y = $2 RETURNING 1), \
            w1 AS (INSERT INTO b (x) VALUES ($3)), \
            w2 AS (INSERT INTO a (x, y) SELECT $4, $5 WHERE (SELECT count(*) FROM w0) >= 0) \
            INSERT INTO c (x) VALUES ($6)";
        assert_eq!(told, [(sql.into(), (1..=6_i64).map(Value::from).collect())]);
    }

    #[test]
    fn one_alone_stays_as_it_is() {
        let told = texts(vec![write("a", "only $1", &[1])]);
        assert_eq!(told, [("only $1".into(), vec![Value::from(1_i64)])]);
        assert!(together(Vec::new()).is_empty());
    }
}
