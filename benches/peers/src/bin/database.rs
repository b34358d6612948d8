//! Nix's database: `database PATHS` makes one of as many store paths, as our builder
//! makes it, and prints the milliseconds that it took: the median of five times.
//!
//! The paths are invented. Each refers to eight others, and their names are as long as
//! real ones.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use nix2image::store::{NarHash, StorePath, ValidPath, encode_database};

const REFERENCES: usize = 8;
const ROUNDS: usize = 5;

/// The letters of a store path's hash.
const LETTERS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [number] = &arguments[..] else {
        bail!("usage: database PATHS");
    };
    let paths = paths(number.parse()?)?;
    let mut milliseconds = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let database = encode_database(paths.iter(), 1)?;
        milliseconds.push(begin.elapsed().as_secs_f64() * 1000.0);
        ensure!(!database.is_empty(), "the database is empty");
    }
    milliseconds.sort_unstable_by(f64::total_cmp);
    let median = milliseconds.get(ROUNDS / 2).context("no round was run")?;
    writeln!(std::io::stdout(), "{median:.2}")?;
    Ok(())
}

/// As many store paths, in order, the same ones each time.
fn paths(number: usize) -> Result<Vec<ValidPath>> {
    ensure!(
        number > REFERENCES,
        "{number} paths cannot refer to {REFERENCES} others each"
    );
    let mut random = Random(1);
    let mut names = (0..number)
        .map(|index| StorePath::from_base_name(&format!("{}-package-{index}-1.0", random.hash())))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    let valid = |(index, path): (usize, &StorePath)| {
        // Far from each other, as hashes are.
        let step = number / (REFERENCES + 1);
        let others = (1..=REFERENCES).map(|times| (index + times * step) % number);
        let mut references: Vec<_> = others.map(|other| names[other].clone()).collect();
        references.sort_unstable();
        ValidPath {
            path: path.clone(),
            nar_hash: NarHash(std::array::from_fn(|_| random.byte())),
            nar_size: 1 << 20,
            references,
            ca: None,
        }
    };
    Ok(names.iter().enumerate().map(valid).collect())
}

/// Numbers without an order: xorshift64*.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()[0]
    }

    /// The first part of a store path's name.
    fn hash(&mut self) -> String {
        (0..StorePath::HASH_LENGTH)
            .map(|_| char::from(LETTERS[usize::from(self.byte() % 32)]))
            .collect()
    }
}
