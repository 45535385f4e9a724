//! The full content of a store.

use sea_orm::{ConnectionTrait, Statement};

use super::{Database, Engine};

impl Database {
    /// Every value of every row in lower case, one row per line; bytes are in hexadecimal. The time
    /// when a key was last used is left out, because the server writes it later.
    pub async fn dump(&self) -> String {
        let connection = self.connect().await;
        let backend = connection.get_database_backend();
        let tables = match self.engine {
            Engine::Postgres => {
                "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
            }
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        };
        let tables = connection.query_all_raw(Statement::from_string(backend, tables));
        let mut lines = Vec::new();
        for table in tables.await.unwrap() {
            let table: String = table.try_get("", "name").unwrap();
            let sql = match self.engine {
                Engine::Postgres => {
                    format!("SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {table} t")
                }
                Engine::Sqlite => {
                    let columns = format!(
                        "SELECT group_concat('quote(' || name || ')', ' || '' '' || ') AS row \
                         FROM pragma_table_info('{table}') WHERE name <> 'last_used_at'"
                    );
                    let columns = Statement::from_string(backend, columns);
                    let columns = connection.query_one_raw(columns).await.unwrap().unwrap();
                    let columns: String = columns.try_get("", "row").unwrap();
                    format!("SELECT {columns} AS row FROM {table}")
                }
            };
            let rows = connection.query_all_raw(Statement::from_string(backend, sql));
            for row in rows.await.unwrap() {
                let row: String = row.try_get("", "row").unwrap();
                lines.push(format!("{table} {}", row.to_lowercase()));
            }
        }
        connection.close().await.unwrap();
        lines.sort();
        lines.join("\n")
    }
}
