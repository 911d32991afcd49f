//! Tells which tables of a configuration differ from those of an earlier version.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem::discriminant;

use toml::de::{DeTable, DeValue};

/// The tables of a configuration file, each with a digest of its values. The digest cannot be
/// turned back into a value, and leaves the process nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables(Vec<(String, u64)>);

impl Tables {
    pub(super) fn of(file: &DeTable<'_>) -> Self {
        let digest = |value: &DeValue<'_>| {
            let mut hasher = DefaultHasher::new();
            add(value, &mut hasher);
            hasher.finish()
        };
        let tables = file.iter();
        let tables =
            tables.map(|(name, value)| (name.get_ref().to_string(), digest(value.get_ref())));
        Self(tables.collect())
    }

    /// The names of the tables that are different, new or gone, in alphabetical order.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let both = [(self, before), (before, self)];
        let mut names: Vec<_> = both
            .into_iter()
            .flat_map(|(these, others)| {
                let is_new = |table: &&(String, u64)| !others.0.contains(table);
                these.0.iter().filter(is_new).map(|(name, _)| name.clone())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn add(value: &DeValue<'_>, hasher: &mut DefaultHasher) {
    discriminant(value).hash(hasher);
    match value {
        DeValue::String(text) => text.hash(hasher),
        DeValue::Integer(number) => (number.radix(), number.as_str()).hash(hasher),
        DeValue::Float(number) => number.as_str().hash(hasher),
        DeValue::Boolean(yes) => yes.hash(hasher),
        DeValue::Datetime(time) => time.to_string().hash(hasher),
        DeValue::Array(values) => {
            values.len().hash(hasher);
            values.iter().for_each(|value| add(value.get_ref(), hasher));
        }
        DeValue::Table(table) => {
            table.len().hash(hasher);
            for (name, value) in table {
                name.get_ref().hash(hasher);
                add(value.get_ref(), hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> Tables {
        Tables::of(DeTable::parse(text).unwrap().get_ref())
    }

    #[test]
    fn what_is_only_written_otherwise_has_not_changed() {
        let before = tables("[log]\nlevel = \"info\"\n[hosts]\na = [1, 2]\n");
        let same = tables("# new\nhosts.a = [ 1,\n 2 ]\n\nlog = { level = 'info' }\n");
        assert_eq!(same.changed_since(&before), Vec::<String>::new());
        for (text, changed) in [
            ("[log]\nlevel = \"info\"\n", &["hosts"][..]),
            ("[log]\nlevel = \"warn\"\n[hosts]\na = [1, 2]\n", &["log"]),
            (
                "[log]\nlevel = \"info\"\n[hosts]\na = [[1], 2]\n",
                &["hosts"],
            ),
            (
                "[logs]\n[hosts]\na = [1, \"2\"]\n",
                &["hosts", "log", "logs"],
            ),
        ] {
            assert_eq!(tables(text).changed_since(&before), changed, "{text}");
        }
    }
}
