//! The project's own commands: `cargo xtask build | test [--full] | matrix | demo | bench [--quick]
//! [--report | --closure | --forms | --containers | --settings | --many | --huge-pages]`.
//!
//! As root on Debian they install what they need; elsewhere they say what is
//! missing. Results go to stdout, what is being done to stderr.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod builder;
mod closure;
mod debian;
mod demo;
mod deny;
mod garbage;
mod kernel;
mod matrix;
mod nix;
mod prerequisites;
mod proof;
mod step;
mod test_env;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  build          the static binary; its path is the last line on stdout
  test [--full]  everything that proves the project; --full adds what is longer
  matrix         every Nix × profile × container × filesystem of the host: one digest each
  demo           an image of a small closure, made by a real nix-build in its sandbox
  bench [--quick] [--report | --closure | --forms | --containers | --settings | --many | --huge-pages]
                 our speed and memory beside others', as a table; --quick on less,
                 --report with plots, and into docs/performance.md,
                 --closure of one closure beside all others alone,
                 --forms of one closure in all its forms alone,
                 --containers of one closure in all containers alone,
                 --settings of one closure with settings for smaller images alone,
                 --many of very many files alone,
                 --huge-pages of one closure on tmpfs alone, of small pages and of huge ones";

type Command = dyn Fn(&Workspace) -> anyhow::Result<()>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let command: Box<Command> = match &arguments[..] {
        ["build"] => Box::new(builder::command),
        ["test"] => Box::new(|workspace| proof::command(workspace, proof::Extent::Usual)),
        ["test", "--full"] => Box::new(|workspace| proof::command(workspace, proof::Extent::Full)),
        ["matrix"] => Box::new(matrix::command),
        ["demo"] => Box::new(demo::command),
        ["bench", flags @ ..] => {
            let Some(request) = bench::Request::parse(flags) else {
                return misused();
            };
            Box::new(move |workspace| bench::command(workspace, request))
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => return misused(),
    };
    match Workspace::find().and_then(|workspace| command(&workspace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misused() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
