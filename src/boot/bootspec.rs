//! The bootspec of a system: `boot.json`, as RFC 125 has it. Keys that we do not know are
//! for others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::{BootFault, FindError};
use super::store_files::{CONTROL_CHARACTER, StoreFiles};
use crate::store::StorePath;
use crate::tree::Name;

/// A system and its specialisations.
pub(super) struct Bootspec {
    /// The path of the file.
    pub path: String,
    /// The system itself.
    pub system: System,
    /// Its specialisations, by their names.
    pub specialisations: BTreeMap<String, System>,
}

/// What can be started. All texts are single lines.
pub(super) struct System {
    pub toplevel: String,
    pub init: String,
    pub kernel: String,
    pub initrd: String,
    pub parameters: Vec<String>,
    pub label: String,
    /// What systemd-boot sorts its menu by.
    pub sort_key: String,
    /// The device tree that systemd-boot gives to the kernel.
    pub devicetree: Option<String>,
}

const V1: &str = "org.nixos.bootspec.v1";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "org.nixos.bootspec.v1")]
    v1: V1Document,
    #[serde(rename = "org.nixos.specialisation.v1", default)]
    specialisations: BTreeMap<String, Document>,
    #[serde(rename = "org.nixos.systemd-boot", default)]
    systemd_boot: SystemdBootDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V1Document {
    toplevel: String,
    init: String,
    kernel: String,
    initrd: Option<String>,
    initrd_secrets: Option<String>,
    #[serde(default)]
    kernel_params: Vec<String>,
    label: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SystemdBootDocument {
    sort_key: Option<String>,
    devicetree: Option<String>,
}

impl Bootspec {
    /// The bootspec of `system`.
    pub(super) fn of(store: &StoreFiles<'_>, system: &StorePath) -> Result<Self, BootFault> {
        store.find("the system", &system.to_string())?;
        let path = format!("{system}/boot.json");
        let file = store
            .find_if_any("the system's bootspec", &path)?
            .ok_or_else(|| BootFault::NoBootspec {
                system: system.clone(),
            })?;
        let document = parse(&path, &file.text("the system's bootspec")?)?;
        let specialisations = document.specialisations.into_iter();
        let specialisations: BTreeMap<_, _> = specialisations
            .map(|(name, document)| {
                check_name(&path, &name)?;
                let of = format!("the specialisation {name:?}");
                let system = System::new(&path, &of, document.v1, document.systemd_boot, store)?;
                Ok((name, system))
            })
            .collect::<Result<_, BootFault>>()?;
        let of = "the system";
        Ok(Self {
            system: System::new(&path, of, document.v1, document.systemd_boot, store)?,
            path,
            specialisations,
        })
    }
}

fn parse(path: &str, text: &str) -> Result<Document, BootFault> {
    let json = |source| BootFault::Json {
        path: path.into(),
        source,
    };
    let value = |error: serde_path_to_error::Error<_>| BootFault::Value {
        path: path.into(),
        key: error.path().to_string(),
        source: error.into_inner(),
    };
    let keys: Map<String, Value> = serde_json::from_str(text).map_err(json)?;
    if !keys.contains_key(V1) {
        return Err(BootFault::Version {
            path: path.into(),
            found: keys.keys().cloned().collect(),
        });
    }
    serde_path_to_error::deserialize(Value::Object(keys)).map_err(value)
}

impl System {
    fn new(
        path: &str,
        of: &str,
        v1: V1Document,
        systemd_boot: SystemdBootDocument,
        store: &StoreFiles<'_>,
    ) -> Result<Self, BootFault> {
        let lacks = |field, needed| BootFault::Lacks {
            path: path.into(),
            of: of.into(),
            field,
            needed,
        };
        if let Some(script) = v1.initrd_secrets {
            check_secrets(store, script)?;
        }
        let initrd = v1.initrd.ok_or_else(|| {
            lacks(
                "initrd",
                "build the system with `boot.initrd.enable = true`, for no installer of nixpkgs starts one without",
            )
        })?;
        let label = v1.label.ok_or_else(|| {
            lacks(
                "label",
                "RFC 125 wants one, so build the system with another nixpkgs",
            )
        })?;
        let system = Self {
            toplevel: v1.toplevel,
            init: v1.init,
            kernel: v1.kernel,
            initrd,
            parameters: v1.kernel_params,
            label,
            sort_key: systemd_boot.sort_key.unwrap_or_else(|| "nixos".into()),
            devicetree: systemd_boot.devicetree,
        };
        system.check(path)?;
        store.find("the system's init", &system.init)?;
        Ok(system)
    }

    fn check(&self, path: &str) -> Result<(), BootFault> {
        let texts = [
            ("toplevel", &self.toplevel),
            ("init", &self.init),
            ("label", &self.label),
            ("the sort key", &self.sort_key),
        ];
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|parameter| ("a parameter of the kernel", parameter));
        for (what, text) in texts.into_iter().chain(parameters) {
            check_line(path, what, text)?;
        }
        Ok(())
    }
}

impl System {
    /// The version of NixOS, as menus show it.
    pub(super) fn version(&self, store: &StoreFiles<'_>) -> Result<String, BootFault> {
        let path = format!("{}/nixos-version", self.toplevel);
        let version = store.line("the version of NixOS", &path)?;
        Ok(version.unwrap_or_else(|| self.label.clone()))
    }
}

fn check_line(path: &str, what: &'static str, text: &str) -> Result<(), BootFault> {
    if text.contains(char::is_control) {
        return Err(BootFault::Text {
            path: path.into(),
            what,
            text: text.into(),
            reason: CONTROL_CHARACTER,
        });
    }
    Ok(())
}

fn check_name(path: &str, name: &str) -> Result<(), BootFault> {
    let what = "the name of a specialisation";
    check_line(path, what, name)?;
    match Name::new(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(BootFault::Text {
            path: path.into(),
            what,
            text: name.into(),
            reason: "it is part of a file name there, without slashes and not empty",
        }),
    }
}

/// nixpkgs gives every system a program that adds secrets, and it ends at once if there are
/// none. Anything else may have some.
fn check_secrets(store: &StoreFiles<'_>, script: String) -> Result<(), BootFault> {
    let what = "the program that adds secrets to the initrd";
    match store.find(what, &script) {
        Ok(file) if file.text(what)?.lines().any(|line| line == "exit 0") => Ok(()),
        Err(BootFault::Find {
            source: FindError::NotInClosure { .. },
            ..
        })
        | Ok(_) => Err(BootFault::InitrdSecrets { script }),
        Err(fault) => Err(fault),
    }
}
