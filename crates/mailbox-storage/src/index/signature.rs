//! The bits of one message.

use std::cell::RefCell;

use super::grams::{WIDTH_BITS_MAX, bits_of_message};

/// Words of all bits there are.
const WORDS_MAX: usize = (1 << WIDTH_BITS_MAX) / 64;
/// Bits per bit that is set, at least: the more, the fewer messages are looked at in vain, and the larger the index.
const SPARSENESS: u32 = 3;
/// The narrowest signature, in bits.
const WIDTH_MIN: u32 = 512;

thread_local! {
    static WIDE: RefCell<Vec<u64>> = RefCell::new(vec![0; WORDS_MAX]);
}

/// The bits of a stored text: as many as keep a third of them or more free, a power of two.
pub(crate) fn signature(text: &str) -> Vec<u8> {
    WIDE.with_borrow_mut(|wide| {
        wide.fill(0);
        bits_of_message(text, |bit| wide[(bit / 64) as usize] |= 1 << (bit % 64));
        let set: u32 = wide.iter().map(|word| word.count_ones()).sum();
        let width = (set * SPARSENESS).next_power_of_two().clamp(WIDTH_MIN, 1 << WIDTH_BITS_MAX);
        // Bit n of a narrower signature is bits n, n + width, n + 2 width … of the widest one.
        let mut words = WORDS_MAX;
        while words > width as usize / 64 {
            words /= 2;
            let (low, high) = wide.split_at_mut(words);
            low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high);
        }
        wide[..words].iter().flat_map(|word| word.to_le_bytes()).collect()
    })
}

/// Are all of these bits set?
pub(crate) fn has_all(signature: &[u8], bits: &[u32]) -> bool {
    let width = signature.len() as u32 * 8;
    width.is_power_of_two()
        && bits.iter().all(|bit| {
            let bit = bit % width;
            signature[(bit / 8) as usize] >> (bit % 8) & 1 == 1
        })
}
