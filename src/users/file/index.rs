//! Where in a password file each login stands.

/// Finds lines by the hash of their login, in a time that does not depend on their number.
///
/// The entries lie in the order of their hashes, each at the place that its hash has among all
/// possible ones, or as near behind it as there is room. So a look-up begins where the entry
/// should be and ends at the first one that is larger, and "the next larger hash" is at hand too.
/// It takes 12 bytes for each login.
pub(super) struct Index {
    slots: Vec<u64>,
    /// How many places there are; `slots` may be a little longer, for what piles up at the end.
    places: u64,
}

/// No entry: no file has a line at the last offset.
const EMPTY: u64 = u64::MAX;

/// One login's hash and the offset of its line, in one word that sorts by hash, then offset.
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
    /// Takes the entries, sorted.
    pub(super) fn of_sorted(entries: &[u64]) -> Self {
        // A third of the places stays free, so that few entries are pushed back, and not far.
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

    /// The offsets of all lines in the order of their hashes, from this hash on and around.
    pub(super) fn around(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (before, after) = self.slots.split_at(self.place(hash));
        let smaller = move |slot: &&u64| hash_of(**slot) < hash;
        // Smaller ones that were pushed back stand first.
        let pushed = after.iter().take_while(smaller).count();
        after[pushed..]
            .iter()
            .chain(before)
            .chain(&after[..pushed])
            .filter(|slot| **slot != EMPTY)
            .map(|slot| offset_of(*slot))
    }

    /// Where an entry with this hash stands if there is room.
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
