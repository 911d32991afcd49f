//! The driver for PostgreSQL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgRow,
    PgSslMode, PgTypeInfo, PgTypeKind,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Encode, Executor as _,
    Row as _, SqlSafeStr as _, Statement as _, Type, TypeInfo as _, ValueRef as _,
};

use super::database::{Driver, Failure, Rows};
use super::network::RunningConnection;
use super::relay::{Connector, RelayProtocol};
use super::row::{Row, Value, network_text};
use super::server::Server;
use super::statement::Statement;
use crate::net::Names;
use crate::users::limits::LAST_SECOND;
use crate::users::placeholder::Values;

/// Seconds from 1970 to 2000, the epoch of PostgreSQL.
const EPOCH: i64 = 946_684_800;

/// The address families of `inet` and `cidr` in binary form (PGSQL_AF_INET, PGSQL_AF_INET6).
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

/// A PostgreSQL server.
pub(super) struct Postgres {
    server: Server,
    options: PgConnectOptions,
    route: Connector,
    names: Names,
}

impl Postgres {
    pub(super) fn new(server: Server) -> Self {
        Self {
            options: options(&server),
            route: Connector::new(RelayProtocol::Postgres, server.clone()),
            server,
            names: Names::system(),
        }
    }
}

/// The relay handles TLS.
fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .username(&server.user)
        // Overrides the environment variable PGPASSWORD.
        .password(
            server
                .password
                .as_ref()
                .map_or("", |password| password.reveal()),
        )
        // The default is the name of the user.
        .database(server.database.as_deref().unwrap_or(&server.user))
        .application_name("nginx-mail-auth")
        // PgBouncer refuses this parameter.
        .extra_float_digits(None)
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging()
}

impl Driver for Postgres {
    type Connection = RunningConnection<PgConnection>;

    fn connect(&self, deadline: Instant) -> Result<RunningConnection<PgConnection>, Failure> {
        let addresses = self.server.addresses(&self.names, deadline)?;
        // The driver appends the name of PostgreSQL's socket in its folder.
        let suffix = format!("/.s.PGSQL.{}", self.options.get_port());
        let mut line = RunningConnection::open(
            deadline,
            async |meter| self.route.open(&addresses, deadline, &suffix, meter).await,
            async |path: PathBuf| {
                let folder = path.parent().unwrap_or(&path);
                self.options.clone().socket(folder).connect().await
            },
        )?;
        // A statement whose client has gone would continue to run. Behind a pooler, the setting would affect
        // other clients too, so it is only set if the announced process answers.
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
        line: &mut RunningConnection<PgConnection>,
        statement: &Statement,
        values: Values<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, Failure> {
        let Some(arguments) = arguments(statement, values)? else {
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
        let result = line.run(
            deadline,
            async |connection: &mut PgConnection| match bounded.fetch_all(connection).await {
                Err(error) if is_misplaced(&error) => Ok(Err(Failure::misplaced())),
                result => result.map(Ok),
            },
        );
        if count > most {
            return Ok(Rows::TooMany);
        }
        result?.map(Rows::All)
    }

    fn columns(
        &self,
        line: &mut RunningConnection<PgConnection>,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let sql = AssertSqlSafe(statement.sql.clone()).into_sql_str();
        let run = async |connection: &mut PgConnection| match connection.prepare(sql).await {
            Err(error) if is_misplaced(&error) => Ok(Err(Failure::misplaced())),
            Err(error) => Err(error),
            Ok(prepared) => {
                let parameters = prepared.parameters();
                let count = parameters.map_or(0, |found| found.either(<[_]>::len, |count| count));
                let columns = prepared.columns().iter();
                let columns = columns.map(|column| column.name().to_owned()).collect();
                Ok(match statement.has(count) {
                    true => Ok(columns),
                    false => Err(Failure::misplaced()),
                })
            }
        };
        line.run(deadline, run)?
    }
}

/// Whether the server finds other parameters than there are placeholders: a number is missing
/// (ERRCODE_INDETERMINATE_DATATYPE), or it got more or fewer values (`exec_bind_message` in postgres.c).
fn is_misplaced(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| match error.code() {
            "42P18" => true,
            "08P01" => error.routine() == Some("exec_bind_message"),
            _ => false,
        })
}

/// A text without a type from the driver. The type is in the statement, `$1::text`: PostgreSQL reports a
/// parameter that the statement does not contain only if the driver gives no type.
struct Untyped<'a>(&'a str);

impl Type<sqlx::Postgres> for Untyped<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl<'q> Encode<'q, sqlx::Postgres> for Untyped<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'q, sqlx::Postgres>>::encode_by_ref(&self.0, buffer)
    }
}

/// All values as text; `None` if one is not UTF-8, because no text in the database can equal it.
fn arguments(statement: &Statement, values: Values<'_>) -> Result<Option<PgArguments>, Failure> {
    let mut arguments = PgArguments::default();
    for placeholder in &statement.placeholders {
        let value = values.of(*placeholder);
        let text = match value.as_deref().map(str::from_utf8) {
            None => None,
            Some(Ok(text)) => Some(Untyped(text)),
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

/// A value in binary form; the numbers are OIDs of pg_type.dat.
fn value(oid: u32, is_text: bool, bytes: &[u8]) -> Option<Value> {
    Some(match oid {
        16 => Value::Boolean(bytes != [0]),
        // bytea, "char", name, text, json, unknown, varchar
        17..=19 | 25 | 114 | 705 | 1043 => Value::bytes(bytes),
        // Trailing blanks of a char(n) are insignificant (PostgreSQL 15, 8.3).
        1042 => Value::bytes(bytes.trim_ascii_end()),
        // int8, int2, int4, oid
        20 => Value::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
        21 => Value::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        23 => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        26 => Value::Integer(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        // float4, float8
        700 => Value::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        701 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        // numeric
        1700 => Value::bytes(numeric(bytes)?),
        // cidr, inet
        650 | 869 => Value::bytes(network(bytes)?),
        // date; timestamp and timestamptz, in microseconds. The largest number is `infinity`.
        1082 => moment(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)) * 86_400),
        1114 | 1184 => moment(i64::from_be_bytes(bytes.try_into().ok()?).div_euclid(1_000_000)),
        _ if is_text => Value::bytes(bytes),
        _ => return None,
    })
}

/// Converts seconds since 2000 to seconds since 1970. A time after all years of four digits never comes; a
/// time before them, such as `-infinity`, is long past. Such a value still differs from NULL, which matters
/// for a column such as `nologin`.
fn moment(since_2000: i64) -> Value {
    match since_2000.saturating_add(EPOCH) {
        seconds if seconds > LAST_SECOND => Value::bytes(*b"infinity"),
        seconds => Value::Integer(seconds.max(-LAST_SECOND)),
    }
}

/// The text of a number: the count of base-10,000 digits, the weight of the first one, the sign, the number
/// of displayed decimals, the digits (numeric.c, `numeric_send`). Trailing zeros of the decimals are omitted.
/// `None` for numbers that are out of range for every column.
fn numeric(bytes: &[u8]) -> Option<String> {
    const MOST: i32 = 16;
    let (head, digits) = bytes.split_first_chunk::<8>()?;
    let [n0, n1, w0, w1, s0, s1, _, _] = *head;
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let sign = match u16::from_be_bytes([s0, s1]) {
        0 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("infinity".to_owned()),
        0xf000 => return Some("-infinity".to_owned()),
        _ => return None,
    };
    let (digits, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let count = i32::from(i16::from_be_bytes([n0, n1]));
    if usize::try_from(count).ok()? != digits.len() || weight > MOST || weight - count < -MOST {
        return None;
    }
    let digit = |place: i32| {
        let there = usize::try_from(weight - place).ok();
        let there = there.and_then(|index| digits.get(index));
        there.map_or(0, |digit| u16::from_be_bytes(*digit))
    };
    let part = |places: &mut dyn Iterator<Item = i32>| -> String {
        places.map(|place| format!("{:04}", digit(place))).collect()
    };
    let whole = part(&mut (0..=weight).rev());
    let decimals = part(&mut (weight - count + 1..0).rev());
    let (whole, decimals) = (
        whole.trim_start_matches('0'),
        decimals.trim_end_matches('0'),
    );
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if decimals.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{decimals}"))
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
    fn numbers_of_any_length() {
        let binary = |weight: i16, sign: u16, digits: &[u16]| {
            let count = i16::try_from(digits.len()).unwrap();
            let head = [
                count.to_be_bytes(),
                weight.to_be_bytes(),
                sign.to_be_bytes(),
                [0, 6],
            ];
            let digits = digits.iter().map(|digit| digit.to_be_bytes());
            head.into_iter()
                .chain(digits)
                .flatten()
                .collect::<Vec<u8>>()
        };
        for (bytes, text) in [
            (binary(0, 0, &[]), Some("0")),
            (binary(0, 0, &[143]), Some("143")),
            (binary(1, 0, &[1]), Some("10000")),
            (binary(2, 0, &[18, 144, 0]), Some("1801440000")),
            (binary(2, 0, &[18, 144, 0, 7500]), Some("1801440000.75")),
            (binary(0, 0x4000, &[1]), Some("-1")),
            (binary(-1, 0, &[5000]), Some("0.5")),
            (binary(-2, 0, &[5]), Some("0.00000005")),
            (binary(0, 0xc000, &[]), Some("NaN")),
            (binary(0, 0xd000, &[]), Some("infinity")),
            (binary(0, 0xf000, &[]), Some("-infinity")),
            (binary(17, 0, &[1]), None),
            (binary(i16::MAX, 0, &[1]), None),
            (binary(-17, 0, &[1]), None),
            (binary(i16::MIN, 0, &[1]), None),
            (binary(0, 1, &[1]), None),
            (b"\0\x02\0\0\0\0\0\0\0\x01".to_vec(), None),
            (b"\0\x01\0\0\0\0\0\0\x01".to_vec(), None),
            (b"\xff\xff\0\0\0\0\0\0".to_vec(), None),
            (b"\0".to_vec(), None),
        ] {
            assert_eq!(numeric(&bytes).as_deref(), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_date_beyond_all_dates_is_no_expiry() {
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
