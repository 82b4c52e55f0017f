//! One column of a snapshot's chunk: numbers as a base and small differences to it.

/// Numbers of one kind, as narrow as they can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Column {
    base: u64,
    data: Data,
}

#[derive(Debug, PartialEq, Eq)]
enum Data {
    /// The i-th number is `base + i * step`: all the same, or UIDs given one after another.
    Steps(u64),
    One(Box<[u8]>),
    Two(Box<[u16]>),
    Four(Box<[u32]>),
    Eight(Box<[u64]>),
}

impl Column {
    pub(crate) fn new(values: &[u64]) -> Self {
        let Some(&first) = values.first() else { return Self { base: 0, data: Data::Steps(0) } };
        let step = values.get(1).and_then(|second| second.checked_sub(first));
        if let Some(step) = step.or((values.len() == 1).then_some(0))
            && values.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(step))
        {
            return Self { base: first, data: Data::Steps(step) };
        }
        let base = values.iter().copied().min().unwrap_or_default();
        let widest = values.iter().map(|value| value - base).max().unwrap_or_default();
        let offsets = values.iter().map(|value| value - base);
        let data = if widest <= u64::from(u8::MAX) {
            Data::One(offsets.map(|offset| offset as u8).collect())
        } else if widest <= u64::from(u16::MAX) {
            Data::Two(offsets.map(|offset| offset as u16).collect())
        } else if widest <= u64::from(u32::MAX) {
            Data::Four(offsets.map(|offset| offset as u32).collect())
        } else {
            Data::Eight(offsets.collect())
        };
        Self { base, data }
    }

    /// The number at a place that the column has.
    pub(crate) fn get(&self, index: usize) -> u64 {
        self.base
            + match &self.data {
                Data::Steps(step) => step * index as u64,
                Data::One(offsets) => u64::from(offsets[index]),
                Data::Two(offsets) => u64::from(offsets[index]),
                Data::Four(offsets) => u64::from(offsets[index]),
                Data::Eight(offsets) => offsets[index],
            }
    }

    /// Bytes beside the column itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.data {
            Data::Steps(_) => 0,
            Data::One(offsets) => offsets.len(),
            Data::Two(offsets) => offsets.len() * 2,
            Data::Four(offsets) => offsets.len() * 4,
            Data::Eight(offsets) => offsets.len() * 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_go_there_and_back(values in proptest::collection::vec(any::<u64>(), 0..20), shift in 0u32..63) {
            let values: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            let column = Column::new(&values);
            let back: Vec<u64> = (0..values.len()).map(|i| column.get(i)).collect();
            prop_assert_eq!(back, values);
        }
    }

    #[test]
    fn regular_numbers_take_no_room() {
        let uids: Vec<u64> = (1000..1512).collect();
        assert_eq!(Column::new(&uids).heap_bytes(), 0);
        assert_eq!(Column::new(&[7; 512]).heap_bytes(), 0);
        assert_eq!(Column::new(&[5, 3, 4]).heap_bytes(), 3);
        assert_eq!(Column::new(&[1, 1 << 40]).heap_bytes(), 0);
        assert_eq!(Column::new(&[1, 1 << 40, 2]).heap_bytes(), 24);
    }
}
