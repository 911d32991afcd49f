//! The driver for MariaDB and MySQL.

use std::time::Instant;

use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow,
    MySqlSslMode, MySqlStatement,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Decode, Executor as _, MySql,
    Row as _, SqlSafeStr as _, Statement as _, TypeInfo as _, ValueRef as _,
};

use super::database::{Driver, Failure, Rows};
use super::network::RunningConnection;
use super::relay::{Connector, RelayProtocol};
use super::row::{Row, Value};
use super::server::Server;
use super::statement::Statement;
use crate::net::Names;
use crate::users::placeholder::Values;

/// A MariaDB or MySQL server.
pub(super) struct Mysql {
    server: Server,
    options: MySqlConnectOptions,
    route: Connector,
    names: Names,
}

impl Mysql {
    pub(super) fn new(server: Server) -> Self {
        Self {
            options: options(&server),
            route: Connector::new(RelayProtocol::Mysql, server.clone()),
            server,
            names: Names::system(),
        }
    }
}

/// The relay handles TLS and the password.
fn options(server: &Server) -> MySqlConnectOptions {
    let options = MySqlConnectOptions::new()
        .username(&server.user)
        // The statement must mean the same as in the server's own client.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .ssl_mode(MySqlSslMode::Disabled)
        .disable_statement_logging();
    match &server.database {
        Some(database) => options.database(database),
        None => options,
    }
}

impl Driver for Mysql {
    type Connection = RunningConnection<MySqlConnection>;

    fn connect(&self, deadline: Instant) -> Result<RunningConnection<MySqlConnection>, Failure> {
        let addresses = self.server.addresses(&self.names, deadline)?;
        let mut line = RunningConnection::open(
            deadline,
            async |meter| self.route.open(&addresses, deadline, "", meter).await,
            async |path| self.options.clone().socket(path).connect().await,
        )?;
        // A statement whose client has gone would continue to run. MariaDB uses the first setting, in
        // seconds; MySQL the second, in milliseconds.
        let timeout = self.server.timeout;
        let limits = [
            format!("SET SESSION max_statement_time={}", timeout.as_secs_f64()),
            format!("SET SESSION max_execution_time={}", timeout.as_millis()),
        ];
        for limit in limits {
            match line.run(deadline, async |connection: &mut MySqlConnection| {
                connection.execute(AssertSqlSafe(limit)).await.map(drop)
            }) {
                Ok(()) => break,
                Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(line)
    }

    fn query(
        &self,
        line: &mut RunningConnection<MySqlConnection>,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let arguments = arguments(statement, values)?;
        let sql = AssertSqlSafe(statement.sql.clone()).into_sql_str();
        let query = sqlx::query_with(sql.clone(), arguments);
        let mut count = 0;
        let bounded = query.try_map(|row: MySqlRow| {
            count += 1;
            if count > most {
                return Err(sqlx::Error::RowNotFound);
            }
            read(&row)
        });
        let is_text = statement.placeholders.iter().all(|placeholder| {
            let value = values.of(*placeholder);
            value.is_none_or(|bytes| str::from_utf8(&bytes).is_ok())
        });
        let result = line.run(deadline, async |connection: &mut MySqlConnection| {
            // The connection keeps the prepared statement, and the query uses it.
            let prepared = connection.prepare(sql).await?;
            if !statement.has(parameters(&prepared)) {
                return Ok(Err(Failure::misplaced()));
            }
            match bounded.fetch_all(connection).await {
                // Text columns contain only valid text, so no row can match.
                Err(error) if !is_text && is_bad_text(&error) => Ok(Ok(Vec::new())),
                result => result.map(Ok),
            }
        });
        if count > most {
            return Ok(Rows::TooMany);
        }
        result?.map(Rows::All)
    }

    fn columns(
        &self,
        line: &mut RunningConnection<MySqlConnection>,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let sql = AssertSqlSafe(statement.sql.clone()).into_sql_str();
        let run = async |connection: &mut MySqlConnection| {
            let prepared = connection.prepare(sql).await?;
            let columns = prepared.columns().iter();
            let columns = columns.map(|column| column.name().to_owned()).collect();
            Ok((columns, parameters(&prepared)))
        };
        let (columns, parameters) = line.run(deadline, run)?;
        match statement.has(parameters) {
            true => Ok(columns),
            false => Err(Failure::misplaced()),
        }
    }
}

/// The number of values that the server expects.
fn parameters(prepared: &MySqlStatement) -> usize {
    let found = prepared.parameters();
    found.map_or(0, |found| found.either(<[_]>::len, |count| count))
}

/// Text if it is UTF-8, else bytes: bytes are compared as they are, without an index.
fn arguments(statement: &Statement, values: Values<'_>) -> Result<MySqlArguments, Failure> {
    let mut arguments = MySqlArguments::default();
    for placeholder in &statement.placeholders {
        match values.of(*placeholder) {
            None => arguments.add(None::<&str>),
            Some(bytes) => match str::from_utf8(&bytes) {
                Ok(text) => arguments.add(text),
                Err(_) => arguments.add(bytes.as_ref()),
            },
        }
        .map_err(Failure::refused)?;
    }
    Ok(arguments)
}

/// ER_INVALID_CHARACTER_STRING: bytes were compared as text.
fn is_bad_text(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .is_some_and(|error| error.number() == 1300)
}

fn read(row: &MySqlRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(row.columns().len());
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let name = raw.type_info().name().to_owned();
        // Not by `is_null`, which takes a zero date for NULL. A value with bytes is not NULL.
        let value = match <&[u8] as Decode<'_, MySql>>::decode(raw) {
            Err(_) => Value::Null,
            Ok(bytes) => value(&name, bytes).unwrap_or(Value::Other(name)),
        };
        values.push((column.name().to_owned(), value));
    }
    Ok(Row(values))
}

/// A value in binary form (MySQL internals, "Binary Protocol Value").
fn value(kind: &str, bytes: &[u8]) -> Option<Value> {
    let number = kind.strip_suffix(" UNSIGNED").unwrap_or(kind);
    Some(match number {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
            integer(bytes, number == kind && kind != "YEAR")?
        }
        "BIT" => {
            let mut eight = [0; 8];
            let start = eight.len().checked_sub(bytes.len())?;
            eight.get_mut(start..)?.copy_from_slice(bytes);
            Value::Integer(i64::try_from(u64::from_be_bytes(eight)).ok()?)
        }
        "DATE" | "DATETIME" | "TIMESTAMP" => Value::bytes(moment(bytes)?),
        "FLOAT" => Value::Real(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        "DOUBLE" => Value::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
        "TIME" | "GEOMETRY" | "NULL" => return None,
        // Text, bytes, and types that are sent as text: DECIMAL, ENUM, SET, JSON.
        _ => Value::bytes(bytes),
    })
}

fn integer(bytes: &[u8], signed: bool) -> Option<Value> {
    let negative = signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut eight = [if negative { 0xff } else { 0 }; 8];
    eight.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let number = i64::from_le_bytes(eight);
    // A larger number is out of range for every column.
    (signed || number >= 0).then_some(Value::Integer(number))
}

/// A length, then year, month, day; hour, minute, second; microseconds. Trailing zero parts are omitted. The
/// zero date becomes a text that is not a date, rather than NULL.
fn moment(bytes: &[u8]) -> Option<String> {
    let (_, rest) = bytes.split_first()?;
    if rest.is_empty() {
        return Some("0000-00-00 00:00:00".to_owned());
    }
    let (date, rest) = rest.split_first_chunk::<4>()?;
    let [y0, y1, month, day] = *date;
    let year = u16::from_le_bytes([y0, y1]);
    let [hour, minute, second] = *rest.first_chunk::<3>().unwrap_or(&[0; 3]);
    Some(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (bytes, text) in [
            (&b"\0"[..], "0000-00-00 00:00:00"),
            (b"\x04\x0f\x27\x0c\x1f", "9999-12-31 00:00:00"),
            (b"\x07\x0f\x27\x0c\x1f\x17\x3b\x3b", "9999-12-31 23:59:59"),
            (
                b"\x0b\x0f\x27\x0c\x1f\x17\x3b\x3b\x01\0\0\0",
                "9999-12-31 23:59:59",
            ),
            (b"\x04\0\0\0\0", "0000-00-00 00:00:00"),
        ] {
            assert_eq!(moment(bytes).as_deref(), Some(text));
        }
        assert_eq!(moment(b"\x02\x0f\x27"), None);
    }
}
