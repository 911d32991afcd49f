//! The index of a password file: finds the line of a login.

/// Finds lines by the hash of their login, in a time that does not depend on the number of lines.
///
/// The entries are sorted by hash. Each one is in the slot that is proportional to its hash, or in the next
/// free slot behind it. A look-up begins at that slot and ends at the first larger hash; so "the next larger
/// hash" is known too. An entry takes 12 bytes.
pub(super) struct Index {
    slots: Vec<u64>,
    /// The number of slots for hashes; `slots` can be a little longer, for entries that move behind the last
    /// one.
    places: u64,
}

/// Marks a free slot: no line has the largest offset.
const EMPTY: u64 = u64::MAX;

/// The hash of a login and the offset of its line, in one word that sorts by hash, then offset.
pub(super) fn entry(hash: u32, offset: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(offset)
}

/// The hash of an entry.
pub(super) fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

/// The offset of an entry.
pub(super) fn offset_of(entry: u64) -> usize {
    (entry & u64::from(u32::MAX)) as usize
}

impl Index {
    /// Builds the index from sorted entries.
    pub(super) fn of_sorted(entries: &[u64]) -> Self {
        // A third of the slots remains free, so that few entries move, and not far.
        let length = entries.len() + entries.len() / 2 + 1;
        let mut index = Self {
            slots: vec![EMPTY; length],
            places: length as u64,
        };
        let mut free = 0;
        for entry in entries {
            let slot = index.place(hash_of(*entry)).max(free);
            match index.slots.get_mut(slot) {
                Some(place) => *place = *entry,
                None => index.slots.push(*entry),
            }
            free = slot + 1;
        }
        index
    }

    /// The offsets of the lines whose login has this hash, in the order of the file.
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = usize> {
        self.slots[self.place(hash)..]
            .iter()
            .take_while(move |slot| **slot != EMPTY && hash_of(**slot) <= hash)
            .filter(move |slot| hash_of(**slot) == hash)
            .map(|slot| offset_of(*slot))
    }

    /// The offsets of all lines in the order of their hashes, from this hash on, then from the start.
    pub(super) fn around(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (before, after) = self.slots.split_at(self.place(hash));
        let smaller = move |slot: &&u64| hash_of(**slot) < hash;
        // Smaller hashes that moved into these slots come first.
        let pushed = after.iter().take_while(smaller).count();
        after[pushed..]
            .iter()
            .chain(before)
            .chain(&after[..pushed])
            .filter(|slot| **slot != EMPTY)
            .map(|slot| offset_of(*slot))
    }

    /// The slot of a hash, if it is free.
    fn place(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.places) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that crowd at both ends and in the middle, some of them equal.
    fn hashes() -> Vec<u32> {
        let mut hashes = vec![
            0,
            0,
            1,
            2,
            3,
            u32::MAX,
            u32::MAX,
            u32::MAX - 1,
            1 << 31,
            1 << 31,
        ];
        hashes.extend((0..500_u32).map(|n| n.wrapping_mul(2_654_435_761)));
        hashes
    }

    fn index() -> (Vec<u64>, Index) {
        let mut entries: Vec<u64> = (0..)
            .zip(hashes())
            .map(|(n, hash)| entry(hash, n))
            .collect();
        entries.sort_unstable();
        let index = Index::of_sorted(&entries);
        (entries, index)
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let (entries, index) = index();
        for hash in hashes().into_iter().chain([7, 1 << 30, 12_345_678]) {
            let expected = entries.iter().filter(|entry| hash_of(**entry) == hash);
            assert!(
                index
                    .with_hash(hash)
                    .eq(expected.map(|entry| offset_of(*entry)))
            );
        }
    }

    #[test]
    fn goes_around_from_any_hash() {
        let (entries, index) = index();
        for hash in hashes().into_iter().chain([7, 1 << 30, 12_345_678]) {
            let first = entries.partition_point(|entry| hash_of(*entry) < hash);
            let expected = entries[first..].iter().chain(&entries[..first]);
            assert!(
                index
                    .around(hash)
                    .eq(expected.map(|entry| offset_of(*entry)))
            );
        }
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let index = Index::of_sorted(&[]);
        assert_eq!(
            index.with_hash(0).count() + index.around(u32::MAX).count(),
            0
        );
    }
}
