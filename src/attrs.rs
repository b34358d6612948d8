//! The structured attributes: what Nix wrote, found and parsed.
//!
//! Ours stand under one key, `nix2image = { version = 1; … }`, so they never meet
//! Nix's; `docs/attributes.md` says what each means. Here is their shape: a field
//! per attribute, `None` where it is absent or null, its type the values that are
//! allowed. Every error names the attribute. [`Spec`](crate::spec::Spec) is what they
//! ask for.
//!
//! A new attribute is a field here, a line in `spec.rs` that gives its default, and
//! a heading in `docs/attributes.md`.

pub mod boot;
mod disk;
mod find;
mod value;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use boot::BootFiles;
pub use disk::{Attributes, Disk, Fat, Grub, Partition, PartitionContent, Raw, Size, TableName};
pub use find::Places;
pub use value::{
    CompressionName, ContainerName, ContentMtime, FromText, Integer, KindName, Line, Mode,
    NotAllowed, Number, OutputForm, Owner, Profile, RelativePath, SourcePath, Target, TargetError,
    Text, XattrName, XattrValue,
};

use crate::ext4;
use crate::store::{STORE_DIRECTORY, StorePath};
use value::attribute_set;

/// The attributes of one derivation.
#[derive(Debug)]
pub struct Attrs {
    /// The path that Nix expects for the output `out`.
    pub out: PathBuf,
    /// The path for the output `report`, if there is such an output.
    pub report: Option<PathBuf>,
    /// What stands under `nix2image`.
    pub image: Image,
    /// All attributes of the derivation, the graphs among them.
    derivation: Map<String, Value>,
}

attribute_set! {
    /// The attributes under `nix2image`.
    #[derive(Default)]
    pub struct Image {
        /// Looked at before the rest is parsed.
        #[serde(rename = "version")]
        _version: Option<Value>,
        pub graphs: Option<Vec<String>>,
        pub text_graphs: Option<Vec<Text<SourcePath>>>,
        pub exports: Option<Vec<Text<SourcePath>>>,
        pub binary_caches: Option<Vec<BinaryCache>>,
        pub verify: Option<bool>,
        pub deduplicate: Option<bool>,
        pub root: Option<Root>,
        pub only_store: Option<bool>,
        pub contents: Option<Vec<Content>>,
        pub boot_files: Option<Vec<BootFiles>>,
        pub registration: Option<bool>,
        pub kind: Option<Text<KindName>>,
        pub time: Option<Integer<u32, 0, { u32::MAX as i64 }>>,
        pub output: Option<Text<OutputForm>>,
        pub image_name: Option<Text<RelativePath>>,
        pub output_files: Option<Vec<OutputFile>>,
        pub container: Option<Text<ContainerName>>,
        pub compression: Option<Text<CompressionName>>,
        pub compression_level: Option<Integer<i32, 1, 19>>,
        pub self_check: Option<bool>,
        pub report: Option<bool>,
        pub ext4: Option<Ext4>,
        pub disk: Option<Disk>,
    }
}

attribute_set! {
    /// The attributes of one item of `nix2image.outputFiles`.
    pub struct OutputFile {
        pub name: Text<RelativePath>,
        pub text: String,
    }
}

attribute_set! {
    /// The attributes of one item of `nix2image.binaryCaches`.
    pub struct BinaryCache {
        pub cache: Text<SourcePath>,
        pub paths: Vec<StorePath>,
    }
}

attribute_set! {
    /// The attributes under `nix2image.root`.
    #[derive(Default)]
    pub struct Root {
        pub system: Option<StorePath>,
        pub channel: Option<StorePath>,
        pub shell: Option<Text<SourcePath>>,
        pub database: Option<bool>,
    }
}

attribute_set! {
    /// The attributes of one item of `nix2image.contents`.
    pub struct Content {
        pub source: Text<SourcePath>,
        pub target: Text<Target>,
        pub unpack: Option<bool>,
        pub glob: Option<bool>,
        pub mode: Option<Text<Mode>>,
        pub recursive_mode: Option<bool>,
        pub uid: Option<Owner>,
        pub gid: Option<Owner>,
        pub mtime: Option<ContentMtime>,
        pub xattrs: Option<BTreeMap<Text<XattrName>, Text<XattrValue>>>,
    }
}

attribute_set! {
    /// The attributes under `nix2image.ext4`.
    #[derive(Default)]
    pub struct Ext4 {
        pub label: Option<Text<ext4::Label>>,
        pub uuid: Option<Text<ext4::Uuid>>,
        pub hash_seed: Option<Text<ext4::Uuid>>,
        pub profile: Option<Profile>,
        pub size: Option<Integer<u64, 0, { 1 << 60 }>>,
        /// At most what ext4 holds with blocks of 4 KiB.
        pub free_bytes: Option<Integer<u64, 0, { 1 << 60 }>>,
        pub free_inodes: Option<Integer<u32, 0, { u32::MAX as i64 }>>,
        pub reserved_percent: Option<Number<ext4::ReservedPercent>>,
        pub inode_ratio: Option<Number<ext4::InodeRatio>>,
        pub journal_size: Option<Number<ext4::JournalSize>>,
        pub grow_to: Option<Number<ext4::GrowTo>>,
        pub sparse: Option<bool>,
    }
}

/// Why there are no attributes to follow.
#[derive(Debug, thiserror::Error)]
pub enum AttrsError {
    /// Nothing at any place.
    #[error(
        "found no structured attributes: {tried}; the derivation needs `__structuredAttrs = true`"
    )]
    NotFound {
        /// Each place, and what was wrong with it.
        tried: String,
    },
    /// A file that is there and cannot be read.
    #[error("cannot read the structured attributes in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Text that is no JSON object.
    #[error("the structured attributes in {} are no JSON object", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it ceases to be one.
        source: serde_json::Error,
    },
    /// An attribute that has to be there and is not.
    #[error("{attribute}: missing; {needed}")]
    Missing {
        /// Its path.
        attribute: &'static str,
        /// What has to be there.
        needed: &'static str,
    },
    /// Attributes of another time.
    #[error(
        "nix2image.version: {found} is {}, and this nix2image {} knows version {known}; {}",
        age.what,
        env!("CARGO_PKG_VERSION"),
        age.remedy,
        known = Attrs::VERSION
    )]
    Version {
        /// The version that the attributes are of.
        found: Value,
        /// What that is beside ours.
        age: &'static Age,
    },
    /// An attribute that is unknown, of the wrong type, or has a value that is not allowed.
    #[error("{attribute}: {fault}")]
    Attribute {
        /// Its path, as `nix2image.contents[2].mode`.
        attribute: String,
        /// What is wrong with it, and what is allowed there.
        fault: String,
    },
}

impl Attrs {
    /// The version of the attributes that this program knows.
    pub const VERSION: u32 = 1;

    /// Finds and parses the attributes.
    pub fn read(places: &Places) -> Result<Self, AttrsError> {
        let (path, text) = find::read(places)?;
        Self::parse(&text, &path)
    }

    /// Parses the text of the file `path`.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, AttrsError> {
        let derivation: Map<String, Value> =
            serde_json::from_slice(text).map_err(|source| AttrsError::Json {
                path: path.into(),
                source,
            })?;
        let ours = derivation.get("nix2image").ok_or(AttrsError::Missing {
            attribute: "nix2image",
            needed: "what image to make is an attribute set, { version = 1; … }",
        })?;
        check_version(ours)?;
        let (out, report) = output_paths(&derivation)?;
        Ok(Self {
            out,
            report,
            image: parse_at("nix2image", ours)?,
            derivation,
        })
    }

    /// The graph that `exportReferencesGraph` put under `name`, if it did.
    #[must_use]
    pub fn graph(&self, name: &str) -> Option<&Value> {
        self.derivation.get(name).filter(|value| value.is_array())
    }

    /// The names of all graphs that `exportReferencesGraph` asks for.
    #[must_use]
    pub fn graph_names(&self) -> Vec<String> {
        self.derivation
            .get("exportReferencesGraph")
            .and_then(Value::as_object)
            .map(|graphs| graphs.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The store paths that `exportReferencesGraph` asks for under `name`, themselves or by
    /// something in them. What is none Nix judges.
    #[must_use]
    pub fn graph_roots(&self, name: &str) -> Vec<StorePath> {
        let asked = self
            .derivation
            .get("exportReferencesGraph")
            .and_then(|graphs| graphs.get(name));
        let many = asked.and_then(Value::as_array).into_iter().flatten();
        many.chain(asked)
            .filter_map(Value::as_str)
            .filter_map(|path| {
                let below = path.strip_prefix(STORE_DIRECTORY)?.strip_prefix('/')?;
                let base_name = below.split('/').next()?;
                StorePath::from_base_name(base_name).ok()
            })
            .collect()
    }
}

/// Looks at the version alone: of another one, nothing else can be judged.
fn check_version(ours: &Value) -> Result<(), AttrsError> {
    match ours.get("version") {
        // The parser says what is allowed there.
        None if !ours.is_object() => Ok(()),
        None | Some(Value::Null) => Err(AttrsError::Missing {
            attribute: "nix2image.version",
            needed: "write version = 1, that of the attributes which this nix2image knows",
        }),
        Some(version) if *version == Attrs::VERSION => Ok(()),
        Some(found) => Err(AttrsError::Version {
            found: found.clone(),
            age: Age::of(found),
        }),
    }
}

/// What another version is beside ours, and what to do.
#[derive(Debug)]
pub struct Age {
    what: &'static str,
    remedy: &'static str,
}

impl Age {
    const NEWER: Self = Self {
        what: "newer",
        remedy: "take the binary that belongs to the Nix functions, or the functions of this binary",
    };
    const OLDER: Self = Self {
        what: "older than all that were",
        remedy: "write version = 1",
    };
    const NONE: Self = Self {
        what: "no version",
        remedy: "write version = 1, as a number",
    };

    fn of(found: &Value) -> &'static Self {
        match (found.as_u64(), found.as_i64()) {
            (Some(version), _) if version > Attrs::VERSION.into() => &Self::NEWER,
            (_, Some(_)) => &Self::OLDER,
            _ => &Self::NONE,
        }
    }
}

/// The paths for the outputs `out` and `report`.
fn output_paths(derivation: &Map<String, Value>) -> Result<(PathBuf, Option<PathBuf>), AttrsError> {
    let outputs = derivation.get("outputs").ok_or(AttrsError::Missing {
        attribute: "outputs",
        needed: "Nix gives a map of output names to paths",
    })?;
    let mut outputs: BTreeMap<String, Text<SourcePath>> = parse_at("outputs", outputs)?;
    let out = outputs.remove("out").ok_or(AttrsError::Missing {
        attribute: "outputs.out",
        needed: "the image goes to the output `out` of the derivation",
    })?;
    let report = outputs.remove("report").map(|report| report.0.0);
    Ok((out.0.0, report))
}

/// Parses the attribute `at`, so that an error names the one within it that is wrong.
fn parse_at<T: DeserializeOwned>(at: &str, value: &Value) -> Result<T, AttrsError> {
    serde_path_to_error::deserialize(value).map_err(|error| AttrsError::Attribute {
        attribute: match error.path().to_string().as_str() {
            "." => at.to_owned(),
            within => format!("{at}.{within}"),
        },
        fault: in_words_of_nix(&error.into_inner().to_string()),
    })
}

/// The message of a wrong type, which has the names that JSON's types have in Rust.
fn in_words_of_nix(message: &str) -> String {
    let theirs = [
        ("invalid type: map, ", "invalid type: attribute set, "),
        ("invalid type: sequence, ", "invalid type: list, "),
    ];
    let mut message = message.to_owned();
    for (theirs, ours) in theirs {
        if let Some(rest) = message.strip_prefix(theirs) {
            message = format!("{ours}{rest}");
        }
    }
    for (theirs, ours) in [
        (", expected a sequence", ", expected a list"),
        (", expected a map", ", expected an attribute set"),
    ] {
        if let Some(rest) = message.strip_suffix(theirs) {
            message = format!("{rest}{ours}");
        }
    }
    message
}

#[cfg(test)]
mod tests;
