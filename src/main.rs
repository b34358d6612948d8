//! The process around [`nix2image`]: arguments, environment, clock, signals, threads,
//! exit codes.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix2image::attrs::{Attrs, AttrsError, Places};
use nix2image::build::{BuildError, build};
use nix2image::error::Chain;
use nix2image::image::Interrupt;
use nix2image::prepare_root::{PrepareRootError, prepare_root};
use nix2image::progress::Progress;
use nix2image::spec::{Spec, SpecError};
use nix2image::tree::Timestamp;
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

mod cli;

use cli::{ArgumentError, Arguments, Command, PrepareRootArguments};

/// Why the process fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Attrs(#[from] AttrsError),
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("NIX_BUILD_CORES: {found:?} is no number of threads, expected 0 (all) or more")]
    Cores { found: OsString },
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] io::Error),
    #[error("cannot start threads")]
    Threads(#[from] ThreadPoolBuildError),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error(transparent)]
    PrepareRoot(#[from] Box<PrepareRootError>),
}

/// Bytes of stack of each thread: the walk through an image descends with its
/// directories.
const STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    let done = match Arguments::read(env::args_os()).command {
        None => build_image(),
        Some(Command::PrepareRoot(arguments)) => prepare(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Without standard error, the exit code is left.
            let _ = writeln!(io::stderr(), "nix2image: error: {}", Chain(&failure));
            failure.exit_code()
        }
    }
}

fn build_image() -> Result<(), Failure> {
    let places = Places {
        attrs_json_file: env::var_os("NIX_ATTRS_JSON_FILE").map(Into::into),
        build_top: env::var_os("NIX_BUILD_TOP").map(Into::into),
        working_directory: env::current_dir().map_err(Failure::WorkingDirectory)?,
    };
    let spec = Spec::new(Attrs::read(&places)?, now())?;
    start_threads()?;
    build(spec, &interrupt_by_signals()?, Progress::Nix).map_err(Box::new)?;
    Ok(())
}

fn prepare(arguments: PrepareRootArguments) -> Result<(), Failure> {
    let request = arguments.request()?;
    start_threads()?;
    let progress = match env::var_os("NIX_BUILD_TOP") {
        Some(_) => Progress::Nix,
        None => Progress::Silent,
    };
    prepare_root(request, &interrupt_by_signals()?, progress).map_err(Box::new)?;
    Ok(())
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 allows no time at all but that.
    let seconds = since_1970.map_or(0, |duration| duration.as_secs());
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// As many threads as Nix allows, for everything.
fn start_threads() -> Result<(), Failure> {
    let threads = match env::var_os("NIX_BUILD_CORES") {
        None => 0,
        Some(found) => found
            .to_str()
            .and_then(|text| text.parse().ok())
            .ok_or(Failure::Cores { found })?,
    };
    // To rayon too, 0 means all cores.
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .build_global()?;
    Ok(())
}

/// A request to stop that is made when somebody ends the process.
fn interrupt_by_signals() -> Result<Interrupt, Failure> {
    let interrupt = Interrupt::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupt.0)).map_err(Failure::Signals)?;
    }
    Ok(interrupt)
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Attrs(_) | Self::Spec(_) | Self::Cores { .. } | Self::Argument(_) => {
                ExitCode::from(2)
            }
            Self::Build(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::PrepareRoot(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::WorkingDirectory(_)
            | Self::Threads(_)
            | Self::Signals(_)
            | Self::Build(_)
            | Self::PrepareRoot(_) => ExitCode::from(1),
        }
    }
}
