//! Which packets of a numbered stream have been seen.

/// The numbers seen so far, one bit for each. By default none is remembered.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    most: u64,
    words: Vec<u64>,
}

impl Sightings {
    /// None yet. Numbers from `most` on are not remembered, which bounds the memory.
    pub const fn new(most: u64) -> Self {
        Self { most, words: Vec::new() }
    }

    /// Notes that `number` was seen: whether for the first time. Numbers beyond the bound always count as new.
    pub fn is_first(&mut self, number: u64) -> bool {
        if number >= self.most {
            return true;
        }
        let (word, bit) = ((number / 64) as usize, 1_u64 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let first = self.words[word] & bit == 0;
        self.words[word] |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_within_the_bound() {
        let mut sightings = Sightings::new(1000);
        for number in [5, 0, 64, 999] {
            assert!(sightings.is_first(number) && !sightings.is_first(number), "{number}");
        }
        assert!(sightings.is_first(1000) && sightings.is_first(1000));
    }
}
