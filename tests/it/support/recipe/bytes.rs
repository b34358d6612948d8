//! Recipes of bytes, for who changes a few of them and looks what comes of it.

use std::collections::BTreeMap;

use super::{Look, Recipe, Step, What, as_name};

/// What is left to read: zeros, when there is nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

/// Steps of a recipe.
const STEPS: usize = 48;

impl Recipe {
    /// Any bytes are a recipe.
    pub(crate) fn of_bytes(bytes: &mut Bytes<'_>) -> Self {
        let root = bytes.look();
        let mut steps = Vec::new();
        while !bytes.0.is_empty() && steps.len() < STEPS {
            steps.push(Step {
                what: bytes.what(),
                parent: bytes.byte().into(),
                name: bytes.name(),
                look: bytes.look(),
            });
        }
        Self { root, steps }
    }
}

impl Bytes<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn number(&mut self, bytes: u32) -> usize {
        (0..bytes).fold(0, |number, _| number << 8 | usize::from(self.byte()))
    }

    fn what(&mut self) -> What {
        let small = |number: usize| u32::try_from(number).expect("it has three bytes");
        match self.byte() % 16 {
            0..=2 => What::Directory,
            3 => What::Crowd(self.number(2) % 400, usize::from(self.byte() % 200)),
            // Around a number of blocks.
            4..=6 => {
                let blocks = usize::from(self.byte() % 40) * 4096;
                What::File((blocks + usize::from(self.byte())).saturating_sub(128))
            }
            7 => What::File(self.number(1)),
            8 => What::File(self.number(3) % 300_000),
            9 => What::Symlink(usize::from(self.byte() % 128) + 1),
            10 => What::Symlink(4095 - usize::from(self.byte() % 64)),
            11 => What::CharacterDevice(
                small(self.number(2)) % 4096,
                small(self.number(3)) % (1 << 20),
            ),
            12 => What::BlockDevice(
                small(self.number(2)) % 4096,
                small(self.number(3)) % (1 << 20),
            ),
            13 => What::Fifo,
            _ => What::HardLink(self.byte().into()),
        }
    }

    /// A name of bytes that are there, or of one that is repeated.
    fn name(&mut self) -> Vec<u8> {
        let length = self.byte();
        let letter = |byte: u8| byte.max(1);
        as_name(match length {
            0..32 => (0..=length % 8).map(|_| letter(self.byte())).collect(),
            length => {
                let mut name = vec![letter(self.byte()); length.into()];
                name[0] = letter(self.byte());
                name
            }
        })
    }

    fn look(&mut self) -> Look {
        let kind = self.byte();
        let id = |bytes: &mut Self| match bytes.byte() {
            255 => u32::try_from(bytes.number(4)).expect("it has four bytes"),
            byte => u32::from(byte) * 257,
        };
        let mut look = Look {
            mode: 0o755,
            uid: 0,
            gid: 0,
            seconds: 1,
            nanoseconds: 0,
            xattrs: BTreeMap::new(),
            acl: None,
            capability: kind & 1 != 0,
        };
        if kind & 2 != 0 {
            look.mode = u16::try_from(self.number(2) & 0o7777).expect("it has 12 bits");
            // The highest means "nobody" to the kernel.
            look.uid = id(self).min(u32::MAX - 1);
            look.gid = id(self).min(u32::MAX - 1);
        }
        if kind & 4 != 0 {
            look.seconds = seconds(self.number(5) as u64);
            let nanoseconds = u32::try_from(self.number(4)).expect("it has four bytes");
            look.nanoseconds = nanoseconds % 1_000_000_000;
        }
        if kind & 8 != 0 {
            look.acl = Some(id(self).min(u32::MAX - 1));
        }
        for _ in 0..kind >> 4 & 3 {
            let namespace = ["user.", "trusted.", "security.x"][usize::from(self.byte() % 3)];
            let name = self.name();
            let name = [namespace.as_bytes(), &name[..name.len().min(30)]].concat();
            look.xattrs.insert(name, self.number(2) % 700);
        }
        look
    }
}

/// A time that ext4 holds, and that e2fsck does not take for one before 1970, as it does with
/// those from 2310 to 2378.
fn seconds(number: u64) -> i64 {
    const FIRST: i64 = -(1 << 31);
    const AGAIN: i64 = (3 << 32) - (1 << 31);
    const END: i64 = (1 << 34) - (1 << 31);
    let span = END - FIRST - (1 << 31);
    let number = number.cast_signed() % span;
    let seconds = FIRST + number;
    if seconds < AGAIN {
        seconds
    } else {
        seconds + (1 << 31)
    }
}
