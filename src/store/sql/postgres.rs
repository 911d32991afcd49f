//! PostgreSQL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow, PgSslMode, PgTypeKind};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _,
    SqlSafeStr as _, Statement as _, Type, TypeInfo as _, ValueRef as _,
};

use super::database::{Asked, Driver, Failure, Rows};
use super::network::{Line, Server};
use super::relay::{Family, Route};
use super::row::{Row, Value, network_text};
use super::template::Template;
use crate::net::Names;
use crate::route::System;
use crate::store::limits::LAST_SECOND;

/// Seconds from 1970 to 2000, which PostgreSQL counts from.
const EPOCH: i64 = 946_684_800;

/// The address families of `inet` and `cidr` in binary form (PGSQL_AF_INET, PGSQL_AF_INET6).
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

/// A PostgreSQL server.
pub(super) struct Postgres {
    server: Server,
    options: PgConnectOptions,
    route: Route,
    names: Names,
}

impl Postgres {
    pub(super) fn new(server: Server) -> Self {
        Self {
            options: options(&server),
            route: Route::new(Family::Postgres, server.clone()),
            server,
            names: Names::new(System.lookups_of_stores()),
        }
    }
}

/// TLS is the relay's.
fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .username(&server.user)
        // Also in place of what PGPASSWORD says.
        .password(
            server
                .password
                .as_ref()
                .map_or("", |password| password.reveal()),
        )
        // Its default is the user's name.
        .database(server.database.as_deref().unwrap_or(&server.user))
        .application_name("nginx-mail-auth")
        // PgBouncer does not take it.
        .extra_float_digits(None)
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging()
}

impl Driver for Postgres {
    type Connection = Line<PgConnection>;

    fn connect(&self, deadline: Instant) -> Result<Line<PgConnection>, Failure> {
        let addresses = self.server.addresses(&self.names, deadline)?;
        // The driver adds the name that PostgreSQL's sockets have in their folder.
        let suffix = format!("/.s.PGSQL.{}", self.options.get_port());
        let mut line = Line::open(
            deadline,
            async |meter| self.route.open(&addresses, deadline, &suffix, meter).await,
            async |path: PathBuf| {
                let folder = path.parent().unwrap_or(&path);
                self.options.clone().socket(folder).connect().await
            },
        )?;
        // A statement whose client has gone would run on. Behind a pooler the setting would be that of
        // other clients too, so only the process that was announced is told.
        let question = format!(
            "SELECT CASE pg_backend_pid() WHEN {} THEN set_config('statement_timeout', '{}', false) \
             END IS NOT NULL",
            line.session().process(),
            self.server.timeout.as_millis()
        );
        match line.run(deadline, async move |connection: &mut PgConnection| {
            let row = connection.fetch_one(AssertSqlSafe(question)).await?;
            row.try_get::<bool, _>(0)
        }) {
            Ok(true) => line.session().is_direct(),
            Ok(false) | Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure),
        }
        Ok(line)
    }

    fn query(
        &self,
        line: &mut Line<PgConnection>,
        statement: &Template,
        asked: &Asked<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let Some(arguments) = arguments(statement, asked)? else {
            return Ok(Rows::All(Vec::new()));
        };
        let query = sqlx::query_with(AssertSqlSafe(statement.sql.clone()), arguments);
        let mut count = 0;
        let bounded = query.try_map(|row: PgRow| {
            count += 1;
            if count > most {
                return Err(sqlx::Error::RowNotFound);
            }
            read(&row)
        });
        let result = line.run(deadline, async |connection: &mut PgConnection| {
            bounded.fetch_all(connection).await
        });
        if count > most {
            return Ok(Rows::TooMany);
        }
        result.map(Rows::All)
    }

    fn columns(
        &self,
        line: &mut Line<PgConnection>,
        statement: &Template,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let sql = AssertSqlSafe(statement.sql.clone()).into_sql_str();
        let types = vec![<str as Type<sqlx::Postgres>>::type_info(); statement.parameters.len()];
        line.run(deadline, async |connection: &mut PgConnection| {
            let prepared = connection.prepare_with(sql, &types).await?;
            let columns = prepared.columns().iter();
            Ok(columns.map(|column| column.name().to_owned()).collect())
        })
    }
}

/// All as text; `None` if a value is not UTF-8, which no text in the database can equal.
fn arguments(statement: &Template, asked: &Asked<'_>) -> Result<Option<PgArguments>, Failure> {
    let mut arguments = PgArguments::default();
    for parameter in &statement.parameters {
        let text = match asked.value(*parameter).map(str::from_utf8) {
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => return Ok(None),
        };
        arguments.add(text).map_err(Failure::refused)?;
    }
    Ok(Some(arguments))
}

fn read(row: &PgRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(row.columns().len());
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let value = if raw.is_null() {
            Value::Null
        } else {
            let kind = raw.type_info();
            let oid = kind.oid().map_or(0, |Oid(oid)| oid);
            let is_enum = matches!(kind.kind(), PgTypeKind::Enum(_));
            let bytes = raw.as_bytes().map_err(sqlx::Error::Decode)?;
            value(
                oid,
                is_enum || kind.name().eq_ignore_ascii_case("citext"),
                bytes,
            )
            .unwrap_or_else(|| Value::Other(kind.name().to_owned()))
        };
        values.push((column.name().to_owned(), value));
    }
    Ok(Row(values))
}

/// A value in binary form; the numbers are those of pg_type.dat.
fn value(oid: u32, is_text: bool, bytes: &[u8]) -> Option<Value> {
    Some(match oid {
        16 => Value::Boolean(bytes != [0]),
        // bytea, "char", name, text, json, unknown, varchar
        17..=19 | 25 | 114 | 705 | 1043 => Value::bytes(bytes),
        // The blanks at the end of a char(n) mean nothing (PostgreSQL 15, 8.3).
        1042 => Value::bytes(bytes.trim_ascii_end()),
        // int8, int2, int4, oid
        20 => Value::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
        21 => Value::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        23 => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        26 => Value::Integer(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        // float4, float8
        700 => Value::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        701 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        // cidr, inet
        650 | 869 => Value::bytes(network(bytes)?),
        // date; timestamp and timestamptz, in microseconds. The greatest number is `infinity`.
        1082 => moment(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)) * 86_400),
        1114 | 1184 => moment(i64::from_be_bytes(bytes.try_into().ok()?).div_euclid(1_000_000)),
        _ if is_text => Value::bytes(bytes),
        _ => return None,
    })
}

/// Seconds since 2000 as seconds since 1970. What lies beyond all dates of four digits never comes; what
/// lies as far back, as `-infinity` does, has been long ago. It is not NULL all the same: a column such as
/// `nologin` says something.
fn moment(since_2000: i64) -> Value {
    match since_2000.saturating_add(EPOCH) {
        seconds if seconds > LAST_SECOND => Value::bytes(*b"infinity"),
        seconds => Value::Integer(seconds.max(-LAST_SECOND)),
    }
}

/// Family, prefix, whether it is a cidr, length, address (network.c, `network_send`).
fn network(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, address) = bytes.split_first_chunk::<4>()?;
    let [family, prefix, _, _] = *head;
    let address = match family {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        FAMILY_V6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(network_text(address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_all_dates_is_no_end() {
        const DATE: u32 = 1082;
        const TIMESTAMP: u32 = 1114;
        let days = |days: i32| value(DATE, false, &days.to_be_bytes());
        let micros = |micros: i64| value(TIMESTAMP, false, &micros.to_be_bytes());
        let never =
            |value| matches!(value, Some(Value::Bytes(text)) if text.as_slice() == b"infinity");
        // 9999-12-31, 10000-01-01, 5874897-12-31, infinity.
        assert!(matches!(
            days(2_921_939),
            Some(Value::Integer(253_402_214_400))
        ));
        for beyond in [2_921_940, 2_145_031_948, i32::MAX] {
            assert!(never(days(beyond)), "{beyond}");
        }
        assert!(matches!(micros(0), Some(Value::Integer(EPOCH))));
        for beyond in [252_455_616_000_000_000, i64::MAX - 1, i64::MAX] {
            assert!(never(micros(beyond)), "{beyond}");
        }
        for past in [days(i32::MIN), micros(i64::MIN)] {
            assert!(matches!(past, Some(Value::Integer(..0))));
        }
    }
}
