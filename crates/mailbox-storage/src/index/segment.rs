//! Signatures of many messages, stored by bit: to know which of them have a bit, a few octets are read.

/// Octets of a block: a row of the database. PostgreSQL keeps rows of up to 2 KB in one piece.
const BLOCK_BYTES: usize = 1920;
/// Messages of the largest segment: a bit of all of them is a quarter of a block.
const MESSAGES_MAX: usize = BLOCK_BYTES / 4 * 8;
/// Octets of the largest segment, which is made in memory.
const SEGMENT_BYTES: usize = 8 << 20;

/// A segment in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Bits of a message.
    pub(crate) width: usize,
    /// Whose bits they are, in the order of the columns.
    pub(crate) ids: Vec<i64>,
    /// `width` slices of `slice_bytes(ids.len())` octets.
    slices: Vec<u8>,
}

/// Most messages of a segment of this width.
pub(crate) fn capacity(width: usize) -> usize {
    (SEGMENT_BYTES * 8 / width).min(MESSAGES_MAX)
}

/// Octets of one bit of so many messages.
fn slice_bytes(messages: usize) -> usize {
    messages.div_ceil(8)
}

/// How many bits share a block.
fn slices_per_block(messages: usize, width: usize) -> usize {
    let fit = (BLOCK_BYTES / slice_bytes(messages).max(1)).max(1);
    // The largest power of two that fits.
    (1 << fit.ilog2()).min(width)
}

/// Where a bit is stored: the block's number and the place of its first octet.
pub(crate) fn place(bit: u32, messages: usize, width: usize) -> (i32, usize) {
    let bit = bit as usize % width;
    let per_block = slices_per_block(messages, width);
    ((bit / per_block) as i32, bit % per_block * slice_bytes(messages))
}

/// The slice at this place, if the block is whole.
pub(crate) fn slice(block: &[u8], at: usize, messages: usize) -> Option<&[u8]> {
    block.get(at..at + slice_bytes(messages))
}

impl Segment {
    /// Of signatures that have one width.
    pub(crate) fn of(width: usize, signatures: &[(i64, &[u8])]) -> Self {
        let bytes = slice_bytes(signatures.len());
        let mut slices = vec![0; width * bytes];
        for (column, (_, signature)) in signatures.iter().enumerate() {
            for (at, octet) in signature.iter().enumerate() {
                let mut rest = *octet;
                while rest != 0 {
                    let bit = at * 8 + rest.trailing_zeros() as usize;
                    slices[bit * bytes + column / 8] |= 1 << (column % 8);
                    rest &= rest - 1;
                }
            }
        }
        Self { width, ids: signatures.iter().map(|(id, _)| *id).collect(), slices }
    }

    /// Of its stored blocks. `None`: they are not whole.
    pub(crate) fn from_blocks(width: usize, ids: Vec<i64>, blocks: &[Vec<u8>]) -> Option<Self> {
        let slices = blocks.concat();
        (slices.len() == width * slice_bytes(ids.len())).then_some(Self { width, ids, slices })
    }

    /// What is stored, in the order of the blocks' numbers.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = slice_bytes(self.ids.len());
        self.slices.chunks(slices_per_block(self.ids.len(), self.width) * bytes)
    }

    /// The columns of several segments of one width that `kept` wants, side by side.
    pub(crate) fn join(width: usize, all: &[Self], kept: impl Fn(i64) -> bool) -> Self {
        let columns: Vec<Vec<usize>> = all
            .iter()
            .map(|part| (0..part.ids.len()).filter(|column| kept(part.ids[*column])).collect())
            .collect();
        let mut ids = Vec::new();
        for (part, columns) in all.iter().zip(&columns) {
            ids.extend(columns.iter().map(|column| part.ids[*column]));
        }
        let bytes = slice_bytes(ids.len());
        let mut slices = vec![0; width * bytes];
        for (bit, slice) in slices.chunks_mut(bytes.max(1)).enumerate() {
            let mut to = 0;
            for (part, columns) in all.iter().zip(&columns) {
                if columns.len() == part.ids.len() {
                    append(slice, to, part.slice(bit));
                } else {
                    pick(slice, to, part.slice(bit), columns);
                }
                to += columns.len();
            }
        }
        Self { width, ids, slices }
    }

    fn slice(&self, bit: usize) -> &[u8] {
        let bytes = slice_bytes(self.ids.len());
        &self.slices[bit * bytes..][..bytes]
    }

    /// In segments that are not too large.
    pub(crate) fn split(self) -> Vec<Self> {
        let most = capacity(self.width);
        if self.ids.len() <= most {
            return vec![self];
        }
        let mut out = Vec::new();
        let mut from = 0;
        for ids in self.ids.chunks(most) {
            let bytes = slice_bytes(ids.len());
            // `most` is a multiple of eight, so parts begin at an octet.
            let slices = (0..self.width).flat_map(|bit| self.slice(bit)[from / 8..][..bytes].iter().copied());
            out.push(Self { width: self.width, slices: slices.collect(), ids: ids.to_vec() });
            from += ids.len();
        }
        out
    }
}

/// Puts bits behind the first `to`; there are zeros.
fn append(slice: &mut [u8], to: usize, bits: &[u8]) {
    let (mut at, shift) = (to / 8, to % 8);
    for octet in bits {
        slice[at] |= octet << shift;
        at += 1;
        if shift > 0 && octet >> (8 - shift) != 0 {
            slice[at] |= octet >> (8 - shift);
        }
    }
}

/// The same with some of the bits.
fn pick(slice: &mut [u8], to: usize, bits: &[u8], columns: &[usize]) {
    for (to, column) in (to..).zip(columns) {
        slice[to / 8] |= (bits[column / 8] >> (column % 8) & 1) << (to % 8);
    }
}

/// Ids as the database keeps them: differences, small ones short.
pub(crate) fn pack_ids(ids: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() + 8);
    let mut last = 0i64;
    for id in ids {
        let difference = id.wrapping_sub(last);
        last = *id;
        let mut rest = (difference << 1 ^ difference >> 63).cast_unsigned();
        while rest > 0x7f {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out
}

/// The ids that [`pack_ids`] packed. `None`: they are damaged.
pub(crate) fn unpack_ids(packed: &[u8]) -> Option<Vec<i64>> {
    let mut out = Vec::with_capacity(packed.len());
    let (mut last, mut value, mut shift) = (0i64, 0u64, 0u32);
    for octet in packed {
        value |= u64::from(octet & 0x7f).checked_shl(shift)?;
        shift += 7;
        if octet & 0x80 == 0 {
            last = last.wrapping_add((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            out.push(last);
            (value, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(segment: &Segment, column: usize, bit: u32) -> bool {
        let blocks: Vec<&[u8]> = segment.blocks().collect();
        let (block, at) = place(bit, segment.ids.len(), segment.width);
        let slice = slice(blocks[block as usize], at, segment.ids.len()).unwrap();
        slice[column / 8] >> (column % 8) & 1 == 1
    }

    proptest! {
        #[test]
        fn a_segment_holds_the_bits_it_was_made_of(
            one in proptest::collection::vec(any::<[u8; 64]>(), 1..40),
            two in proptest::collection::vec(any::<[u8; 64]>(), 1..40),
            bits in proptest::collection::vec(0u32..5000, 20),
        ) {
            let signatures = |all: &[[u8; 64]], from: i64| -> Vec<(i64, Vec<u8>)> {
                (from..).zip(all.iter().map(|signature| signature.to_vec())).collect()
            };
            let (one, two) = (signatures(&one, 1), signatures(&two, 1000));
            let segment = |all: &[(i64, Vec<u8>)]| {
                Segment::of(512, &all.iter().map(|(id, signature)| (*id, &signature[..])).collect::<Vec<_>>())
            };
            let kept = |id: i64| id % 3 != 0;
            let joined = Segment::join(512, &[segment(&one), segment(&two)], kept);
            let all: Vec<_> = one.iter().chain(&two).filter(|(id, _)| kept(*id)).collect();
            prop_assert_eq!(&joined.ids, &all.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            for bit in bits {
                for (column, (_, signature)) in all.iter().enumerate() {
                    let bit_there = signature[(bit % 512 / 8) as usize] >> (bit % 8) & 1 == 1;
                    prop_assert_eq!(has(&joined, column, bit), bit_there);
                }
            }
            let blocks: Vec<Vec<u8>> = joined.blocks().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(Segment::from_blocks(512, joined.ids.clone(), &blocks), Some(joined));
        }

        #[test]
        fn ids_go_there_and_back(ids in proptest::collection::vec(any::<i64>(), 0..50)) {
            prop_assert_eq!(unpack_ids(&pack_ids(&ids)), Some(ids));
        }
    }

    #[test]
    fn a_large_segment_is_split() {
        let signature = [0xa5; 64];
        let all: Vec<(i64, &[u8])> = (0..9000).map(|id| (id, &signature[..])).collect();
        let parts = Segment::of(512, &all).split();
        assert_eq!(parts.iter().map(|part| part.ids.len()).collect::<Vec<_>>(), [3840, 3840, 1320]);
        assert!(parts.iter().all(|part| has(part, part.ids.len() - 1, 2) && !has(part, 0, 1)));
    }
}
