//! Parses a host, or one of its addresses, that can be written as a string with only the address.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{Address, Host};
use crate::config::source::unplaced;

/// One entry of `[hosts]`: a table, or just its address as a string.
pub(in crate::config) struct HostEntry(pub(in crate::config) Host);

/// One of a host's `addresses`: a table, or just the address as a string.
pub(in crate::config) struct AddressEntry(pub(in crate::config) Address);

/// Implemented by hand, because serde's untagged enums lose the positions of errors.
struct StringOrTable<T>(PhantomData<T>);

/// Types that can be written as a string with only the address.
trait FromAddress: Sized {
    fn from_address(address: String) -> Self;
}

impl FromAddress for Host {
    fn from_address(address: String) -> Self {
        Self {
            address: Some(unplaced(address)),
            ..Self::default()
        }
    }
}

impl FromAddress for Address {
    fn from_address(address: String) -> Self {
        Self {
            address: Some(unplaced(address)),
            ..Self::default()
        }
    }
}

impl<'de, T: FromAddress + Deserialize<'de>> Visitor<'de> for StringOrTable<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a table")
    }

    fn visit_str<E: Error>(self, address: &str) -> Result<T, E> {
        Ok(T::from_address(address.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = StringOrTable(PhantomData);
        deserializer.deserialize_any(visitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for AddressEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = StringOrTable(PhantomData);
        deserializer.deserialize_any(visitor).map(Self)
    }
}
