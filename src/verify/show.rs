//! How a verification is shown: to a person, a line for each finding; and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{Fault, Finding, Verification};
use crate::error::Chain;
use crate::inspect::{Bytes, Escaped};
use crate::store::{NarDigest, StorePath};

/// The version of what [`Verification::to_json`] gives. A field that is added leaves it as it is.
const VERSION: u32 = 1;

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let against = match (self.has_database, self.has_registration) {
            (true, true) => "database and registration",
            (true, false) => "database",
            (false, _) => "registration",
        };
        let nars = Bytes(self.nar_bytes);
        write!(
            f,
            "{} store paths are as the {against} of the image ",
            self.right
        )?;
        let say = if self.has_database && self.has_registration {
            "say"
        } else {
            "says"
        };
        let findings = match self.findings.len() {
            0 => "nothing is wrong".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            count => format!("{count} things are wrong"),
        };
        writeln!(f, "{say}, and {findings}; {nars} of NARs were hashed")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Escaped(&self.path);
        let word = self.fault.word();
        write!(f, "{word:<10} {path}: ")?;
        match &self.fault {
            Fault::Missing { expected } => {
                write!(f, "registered with {}, and not there", Nar(*expected))
            }
            Fault::Extra { found: Some(found) } => {
                write!(f, "not registered, and there with {}", Nar(*found))
            }
            Fault::Extra { found: None } => f.write_str("not registered, and there without a NAR"),
            Fault::Changed { expected, found } => {
                write!(
                    f,
                    "registered with {}, and there with {}",
                    Nar(*expected),
                    Nar(*found)
                )
            }
            Fault::Unreadable { expected, error } => {
                write!(
                    f,
                    "registered with {}, but {}",
                    Nar(*expected),
                    Chain(error)
                )
            }
            Fault::Disagreement {
                database,
                registration,
            } => {
                let [database, registration] = [database, registration].map(|nar| match nar {
                    Some(nar) => format!("has {}", Nar(*nar)),
                    None => "does not have it".to_owned(),
                });
                write!(
                    f,
                    "the database {database}, and the registration {registration}"
                )
            }
            Fault::References { differ } => {
                let differ: Vec<_> = differ.iter().map(StorePath::base_name).collect();
                let differ = differ.join(" ");
                write!(
                    f,
                    "only one of database and registration says that it refers to {differ}"
                )
            }
        }
    }
}

/// A NAR in words.
struct Nar(NarDigest);

impl fmt::Display for Nar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} bytes", self.0.hash, self.0.size)
    }
}

impl Fault {
    /// What it is called, in JSON too.
    fn word(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Extra { .. } => "extra",
            Self::Changed { .. } => "changed",
            Self::Unreadable { .. } => "unreadable",
            Self::Disagreement { .. } => "disagree",
            Self::References { .. } => "references",
        }
    }
}

impl Verification {
    /// What was found out, for programs. docs/inspect.md says what each field means.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "ok": self.findings.is_empty(),
            "database": self.has_database,
            "registration": self.has_registration,
            "right": self.right,
            "narBytes": self.nar_bytes,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

fn finding(finding: &Finding) -> Value {
    let mut value = json!({
        "path": Escaped(&finding.path).to_string(),
        "fault": finding.fault.word(),
    });
    match &finding.fault {
        Fault::Missing { expected } => value["expected"] = nar(*expected),
        Fault::Extra { found } => value["found"] = json!(found.map(nar)),
        Fault::Changed { expected, found } => {
            value["expected"] = nar(*expected);
            value["found"] = nar(*found);
        }
        Fault::Unreadable { expected, error } => {
            value["expected"] = nar(*expected);
            value["error"] = json!(Chain(error).to_string());
        }
        Fault::Disagreement {
            database,
            registration,
        } => {
            value["database"] = json!(database.map(nar));
            value["registration"] = json!(registration.map(nar));
        }
        Fault::References { differ } => {
            let differ: Vec<_> = differ.iter().map(ToString::to_string).collect();
            value["differ"] = json!(differ);
        }
    }
    value
}

fn nar(nar: NarDigest) -> Value {
    json!({ "narHash": nar.hash.to_string(), "narSize": nar.size })
}
