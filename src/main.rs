//! The process around [`nix2image`]: arguments, environment, clock, signals, threads,
//! exit codes.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix2image::attrs::{Attrs, AttrsError, Places};
use nix2image::build::{BuildError, build};
use nix2image::error::Chain;
use nix2image::inspect::{Image, InspectError, Listing, json};
use nix2image::install::{self, Ending, InstallError};
use nix2image::job::Job;
use nix2image::prepare_root::{PrepareRootError, prepare_root};
use nix2image::progress::{Listener, Progress};
use nix2image::spec::{Spec, SpecError};
use nix2image::tree::Timestamp;
use nix2image::verify::{VerifyError, verify};
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};

mod cli;

use cli::{
    ArgumentError, Arguments, Command, InspectArguments, InstallArguments, Installing, Look,
    PrepareRootArguments, VerifyArguments, Volume, write_manual,
};

/// Trees of many files are made of small allocations, on all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    #[error("cannot write the manual below {}", prefix.display())]
    Manual { prefix: PathBuf, source: io::Error },
    // The reason's own source says the same once more.
    #[error(
        "cannot start threads, each with {mib} MiB of address space for its stack; allow more memory (`ulimit -v`) or processes (`ulimit -u`), or set NIX_BUILD_CORES to fewer: {0}",
        mib = STACK_BYTES >> 20
    )]
    Threads(ThreadPoolBuildError),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error(transparent)]
    PrepareRoot(#[from] Box<PrepareRootError>),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Inspect(#[from] Box<InspectError>),
    #[error(transparent)]
    Verify(#[from] Box<VerifyError>),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// The exit code that a shell gives to who was ended by SIGPIPE.
const BROKEN_PIPE: u8 = 128 + 13;

/// Bytes of stack of each thread: the walk through an image descends with its
/// directories.
const STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    let Arguments { command, volume } = Arguments::read(env::args_os());
    let done = match command {
        None => build_image(volume),
        Some(Command::PrepareRoot(arguments)) => prepare(arguments, volume),
        Some(Command::Install(arguments)) => install(arguments, volume),
        Some(Command::Manual { prefix }) => manual(prefix),
        Some(Command::Inspect(arguments)) => inspect(arguments, volume),
        Some(Command::Verify(arguments)) => verify_image(&arguments, volume),
        Some(Command::EnterRoot { order }) => Ok(install::serve(&order)),
    };
    match done {
        Ok(exit_code) => exit_code,
        // Who reads no further, as `head` does, is told nothing.
        Err(failure) if failure.is_broken_pipe() => ExitCode::from(BROKEN_PIPE),
        Err(failure) => {
            // Without standard error, the exit code is left.
            let _ = writeln!(io::stderr(), "nix2image: error: {}", Chain(&failure));
            failure.exit_code()
        }
    }
}

fn build_image(volume: Volume) -> Result<ExitCode, Failure> {
    use_small_pages();
    let places = Places {
        attrs_json_file: env::var_os("NIX_ATTRS_JSON_FILE").map(Into::into),
        build_top: env::var_os("NIX_BUILD_TOP").map(Into::into),
        working_directory: env::current_dir().map_err(Failure::WorkingDirectory)?,
    };
    let spec = Spec::new(Attrs::read(&places)?, now())?;
    start_threads()?;
    let job = job_until_signals()?;
    // Who handles it is told, as an error, that a file may not be larger.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(Failure::Signals)?;
    let progress = Progress::new(builders_listener(volume), &job);
    build(spec, &job, progress).map_err(Box::new)?;
    Ok(ExitCode::SUCCESS)
}

fn prepare(arguments: PrepareRootArguments, volume: Volume) -> Result<ExitCode, Failure> {
    let request = arguments.request()?;
    start_threads()?;
    let job = job_until_signals()?;
    let progress = Progress::new(commands_listener(volume), &job);
    prepare_root(request, &job, &progress).map_err(Box::new)?;
    Ok(ExitCode::SUCCESS)
}

fn install(arguments: InstallArguments, volume: Volume) -> Result<ExitCode, Failure> {
    let state_directory = env::var_os("NIX_STATE_DIR").map(Into::into);
    match arguments.request(state_directory) {
        Installing::System(request) => {
            start_threads()?;
            let job = job_until_signals()?;
            let progress = Progress::new(commands_listener(volume), &job);
            install::install(*request, &job, &progress)?;
            Ok(ExitCode::SUCCESS)
        }
        Installing::Command { root, command } => {
            // What is typed at the terminal is for the command.
            for signal in [SIGINT, SIGQUIT] {
                signal_hook::flag::register(signal, Arc::default()).map_err(Failure::Signals)?;
            }
            let job = job_until(&[SIGHUP, SIGTERM])?;
            let ending = install::chroot(&root, command, &job)?;
            Ok(exit_code_of(ending))
        }
    }
}

fn manual(prefix: PathBuf) -> Result<ExitCode, Failure> {
    match write_manual(&prefix) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(source) => Err(Failure::Manual { prefix, source }),
    }
}

fn inspect(arguments: InspectArguments, volume: Volume) -> Result<ExitCode, Failure> {
    // Signals end the process: it leaves nothing, its temporary file has no name.
    let job = Job::default();
    let progress = Progress::new(commands_listener(volume), &job);
    progress.phase("opening");
    let image = Image::open(&arguments.image, &job).map_err(Box::new)?;
    drop(progress);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match arguments.look {
        None if arguments.json => writeln!(out, "{:#}", json::image(&image)),
        None => write!(out, "{image}"),
        Some(Look::Ls { at, json, path }) => {
            let files = image.files(at.partition, &job).map_err(Box::new)?;
            let entries = files.list(path.as_bytes()).map_err(Box::new)?;
            if json || arguments.json {
                writeln!(out, "{:#}", json::listing(&entries))
            } else {
                write!(out, "{}", Listing(&entries))
            }
        }
        Some(Look::Cat { at, path }) => {
            let files = image.files(at.partition, &job).map_err(Box::new)?;
            files.copy(path.as_bytes(), &mut out).map_err(Box::new)?;
            Ok(())
        }
    };
    written
        .and_then(|()| out.flush())
        .map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn verify_image(arguments: &VerifyArguments, volume: Volume) -> Result<ExitCode, Failure> {
    start_threads()?;
    let job = job_until_signals()?;
    let progress = Progress::new(commands_listener(volume), &job);
    let found = verify(&arguments.image, arguments.at.partition, &job, &progress);
    drop(progress);
    let found = found.map_err(Box::new)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = if arguments.json {
        writeln!(out, "{:#}", found.to_json())
    } else {
        write!(out, "{found}")
    };
    written
        .and_then(|()| out.flush())
        .map_err(Failure::Output)?;
    Ok(ExitCode::from(u8::from(!found.findings.is_empty())))
}

/// A program's exit code, or what a shell makes of the signal that ended it.
fn exit_code_of(ending: Ending) -> ExitCode {
    let code = match ending {
        Ending::Code(code) => code,
        Ending::Signal(signal) => 128 + signal,
    };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Who listens to a builder, which is Nix's unless somebody runs it by hand.
fn builders_listener(volume: Volume) -> Listener {
    match (volume.quiet, env::var_os("NIX_BUILD_TOP")) {
        (true, _) => Listener::Nobody,
        (false, Some(_)) => Listener::Nix,
        (false, None) => Listener::Lines,
    }
}

/// Who listens to a command: a person, unless it is run by Nix or by a script.
fn commands_listener(volume: Volume) -> Listener {
    match builders_listener(volume) {
        Listener::Lines if volume.verbose => Listener::Lines,
        Listener::Lines if io::stderr().is_terminal() => Listener::Terminal,
        Listener::Lines => Listener::Nobody,
        listener => listener,
    }
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 allows no time at all but that.
    let seconds = since_1970.map_or(0, |duration| duration.as_secs());
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Takes memory in pages of the smallest size. The allocator asks for huge ones, which are twice
/// as much memory in all, and no faster (`docs/performance.md`). Not for commands: those that they
/// start would have none either.
fn use_small_pages() {
    // A kernel without huge pages does not know what is asked.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
        .build_global()
        .map_err(Failure::Threads)
}

/// A job that stops when somebody ends the process.
fn job_until_signals() -> Result<Job, Failure> {
    job_until(&[SIGHUP, SIGINT, SIGTERM])
}

fn job_until(signals: &[i32]) -> Result<Job, Failure> {
    let job = Job::default();
    for signal in signals {
        signal_hook::flag::register(*signal, Arc::clone(job.stop_flag()))
            .map_err(Failure::Signals)?;
    }
    Ok(job)
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Attrs(_) | Self::Spec(_) | Self::Cores { .. } | Self::Argument(_) => {
                ExitCode::from(2)
            }
            Self::Build(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::PrepareRoot(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::Install(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::Inspect(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::Verify(error) if error.is_of_the_request() => ExitCode::from(2),
            Self::WorkingDirectory(_)
            | Self::Threads(_)
            | Self::Manual { .. }
            | Self::Signals(_)
            | Self::Build(_)
            | Self::PrepareRoot(_)
            | Self::Install(_)
            | Self::Inspect(_)
            | Self::Verify(_)
            | Self::Output(_) => ExitCode::from(1),
        }
    }

    fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Inspect(error) => error.is_broken_pipe(),
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}
