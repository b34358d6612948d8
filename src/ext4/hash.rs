//! The hash that orders a large directory: half of MD4, as `fs/ext4/hash.c` has it.

use super::options::HashSeed;

/// A name's hash. Its lowest bit is always clear: the index uses it to mark a leaf
/// that goes on with the last hash of the leaf before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NameHash {
    /// What the index is ordered by.
    pub major: u32,
    /// What `readdir` orders equal hashes by.
    pub minor: u32,
}

/// The chaining values of MD4, for a seed of zeros.
const MD4_INITIAL: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// The kernel's mark for the end of a directory, which no name may have.
const HASH_END_OF_DIRECTORY: u32 = 0x7FFF_FFFF << 1;

/// Bytes of a name that one round of the transform takes.
const CHUNK: usize = 32;

impl NameHash {
    /// The hash of `name`, its bytes taken as signed.
    pub(super) fn of(name: &[u8], seed: HashSeed) -> Self {
        let mut state = initial_state(seed);
        let mut rest = name;
        while !rest.is_empty() {
            transform(&mut state, chunk_words(rest));
            rest = &rest[rest.len().min(CHUNK)..];
        }
        let mut major = state[1] & !1;
        if major == HASH_END_OF_DIRECTORY {
            major = (HASH_END_OF_DIRECTORY >> 1).wrapping_sub(1) << 1;
        }
        Self {
            major,
            minor: state[2],
        }
    }
}

fn initial_state(seed: HashSeed) -> [u32; 4] {
    if seed.0 == [0; 16] {
        return MD4_INITIAL;
    }
    let (words, _) = seed.0.as_chunks::<4>();
    std::array::from_fn(|i| u32::from_le_bytes(words[i]))
}

/// The first [`CHUNK`] bytes of `rest` as words, filled up with its length.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a name has at most 255 bytes"
)]
fn chunk_words(rest: &[u8]) -> [u32; 8] {
    let padding = u32::from_le_bytes([rest.len() as u8; 4]);
    let mut words = [padding; 8];
    for (word, bytes) in words
        .iter_mut()
        .zip(rest[..rest.len().min(CHUNK)].chunks(4))
    {
        *word = bytes.iter().fold(padding, |value, &byte| {
            (value << 8).wrapping_add_signed(i32::from(byte.cast_signed()))
        });
    }
    words
}

fn transform(state: &mut [u32; 4], input: [u32; 8]) {
    type Mix = fn(u32, u32, u32) -> u32;
    let rounds: [(Mix, u32, [usize; 8], [u32; 4]); 3] = [
        (
            |x, y, z| z ^ (x & (y ^ z)),
            0,
            [0, 1, 2, 3, 4, 5, 6, 7],
            [3, 7, 11, 19],
        ),
        (
            |x, y, z| (x & y).wrapping_add((x ^ y) & z),
            0x5A82_7999,
            [1, 3, 5, 7, 0, 2, 4, 6],
            [3, 5, 9, 13],
        ),
        (
            |x, y, z| x ^ y ^ z,
            0x6ED9_EBA1,
            [3, 7, 2, 6, 1, 5, 0, 4],
            [3, 9, 11, 15],
        ),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (mix, constant, order, shifts) in rounds {
        for (step, word) in order.into_iter().enumerate() {
            let sum = a
                .wrapping_add(mix(b, c, d))
                .wrapping_add(input[word])
                .wrapping_add(constant);
            (a, b, c, d) = (d, sum.rotate_left(shifts[step % 4]), b, c);
        }
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[u8] =
        b"a-name-that-is-longer-than-thirty-two-bytes-and-then-some-more-of-it-to-cross-two-chunks";

    /// What `debugfs -R 'dx_hash -h half_md4 [-s SEED] NAME'` of e2fsprogs 1.47 prints.
    #[test]
    fn it_is_the_hash_that_debugfs_computes() {
        let none = HashSeed([0; 16]);
        let seed = HashSeed(*b"DDDDDDDD\x88\x88\x88\x88\x88\x88\x88\x88");
        for (name, seed, major, minor) in [
            (&b"a"[..], seed, 0x9f5f_fe82, 0x6c63_e5c5),
            (b"a", none, 0xd5fa_7d7a, 0xacb4_8187),
            (b"lost+found", seed, 0x3cac_2d16, 0xb4b6_4deb),
            (
                b"a-name-of-exactly-thirty-two-byt",
                seed,
                0x2641_a02e,
                0xdc75_378b,
            ),
            (
                b"a-name-of-exactly-thirty-two-byt",
                none,
                0xdd9c_ebb4,
                0x2515_7d92,
            ),
            (LONG, seed, 0xd588_821a, 0x640b_f660),
            (LONG, none, 0xa6a3_dcd0, 0xce99_5f7f),
            ("grün".as_bytes(), seed, 0x71c4_994e, 0x901d_21a2),
        ] {
            assert_eq!(
                NameHash::of(name, seed),
                NameHash { major, minor },
                "{name:?}"
            );
        }
    }
}
